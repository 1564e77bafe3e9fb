"""Finished analyses side by side."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from sqlalchemy import Row

from api_schemas.comparisons import (
    Compared,
    ComparedFreeEnergy,
    ComparedVerdict,
    Comparison,
)
from api_schemas.problems import FieldProblem
from api_schemas.results import Warning
from ledger.database import read
from service.analyses.outcomes import open_outcome
from service.analyses.read import find
from service.analyses.results import RESULT
from service.errors import Conflict, ValidationFailed
from service.resources import Resources

MAX_COMPARED: Final = 20
"""Analyses in one comparison: more columns than a reader takes in, and each result is read whole."""

ALIKE: Final = ("reference", "prompts", "signal", "policy", "budget", "decision")
"""Parts of a request in which analyses should agree for their numbers to speak of one thing."""


def compare(resources: Resources, ids: str) -> Comparison:
    """Compare analyses.

    Args:
        resources: What the gateway works with.
        ids: Their ids, separated by commas.

    Raises:
        ValidationFailed: no id, one twice, or more than `MAX_COMPARED`.
        NotFound: one is unknown or somebody else's.
        Conflict: one has no result, or one that this version cannot read.
    """
    wanted = _split(ids)
    with read(resources.engine) as conn:
        rows = [find(conn, resources.tenant, analysis_id) for analysis_id in wanted]
    data = [entry for row in rows for entry in _entries(resources, row)]
    return Comparison(object="comparison", data=data, warnings=list(_differences(rows)))


def _split(ids: str) -> list[str]:
    wanted = [part.strip() for part in ids.split(",")]
    if not all(wanted):
        raise _refused("name the analyses by their ids, separated by commas")
    if len(set(wanted)) < len(wanted):
        raise _refused("name each analysis once")
    if len(wanted) > MAX_COMPARED:
        raise _refused(f"compare at most {MAX_COMPARED} analyses at once; these are {len(wanted)}")
    return wanted


def _refused(detail: str) -> ValidationFailed:
    return ValidationFailed(detail, errors=[FieldProblem(detail=detail, parameter="ids")])


def _entries(resources: Resources, row: Row[Any]) -> list[Compared]:
    try:
        stored = open_outcome(resources, row.id, RESULT)
    except Conflict as conflict:
        raise Conflict(
            f"{row.id}: {conflict.detail}", code=conflict.code, headers=conflict.headers
        ) from conflict
    whole = json.loads(stored.path.read_bytes())
    try:
        if whole.get("checkpoints") is None:
            return [_entry(row, whole, {})]
        return [
            _entry(row, found, {"checkpoint": found["checkpoint"], "candidate": found["candidate"]})
            for found in whole["checkpoints"]
        ]
    except (KeyError, ValidationError) as error:
        raise Conflict(
            f"{row.id}: its result was written by another version of the service; read it by itself",
            code="result_of_another_version",
        ) from error


def _entry(row: Row[Any], found: Mapping[str, Any], which: Mapping[str, Any]) -> Compared:
    """What one result, or one checkpoint of it, says; only what is compared has to be as expected."""
    support = found["support"]
    success = {side: support[side]["success"] for side in ("reference", "candidate") if support.get(side)}
    parts = {
        "verdict": _part(ComparedVerdict, found.get("verdict")),
        "gain": found.get("gain"),
        "free_energy": _part(ComparedFreeEnergy, found.get("free_energy")),
        "regimes": support.get("regimes"),
    }
    of_analysis = {name: getattr(row, name) for name in ("name", "labels", "kind", "status", "partial")}
    return Compared.model_validate(
        {
            "analysis_id": row.id,
            **of_analysis,
            **which,
            "success": success,
            **{name: part for name, part in parts.items() if part is not None},
        }
    )


def _part(model: type[BaseModel], whole: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The fields of a part that a comparison shows."""
    return None if whole is None else {name: whole[name] for name in model.model_fields}


def _differences(rows: Sequence[Row[Any]]) -> Iterator[Warning]:
    first = rows[0].spec
    for part in ALIKE:
        differing = [row.id for row in rows if row.spec.get(part) != first.get(part)]
        if differing:
            yield Warning(
                code=f"different_{part}",
                detail=f"`{part}` of {', '.join(differing)} is not that of {rows[0].id}: what differs "
                "between their numbers may come from it",
            )
