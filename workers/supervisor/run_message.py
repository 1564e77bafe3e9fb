"""What an engine host is told of a shard."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, select

from ledger import datasets, imports, models
from ledger.database import read
from ledger.progress import drawn_tokens, usage
from ledger.sample_cache import draw_keys, find, model_key
from ledger.shards import Claim, failures_for, inputs_for
from ledger.states import AnalysisStatus, Work
from ledger.tables import shards
from ledger.throughput import recent_pace
from workers.errors import AnalysisFault
from workers.host.protocol import RUN, Message

_SHARD_FIELDS: Final = (
    "id",
    "analysis_id",
    "tenant_id",
    "round",
    "idx",
    "work",
    "stream",
    "scorer",
    "items",
    "planned_rows",
    "depends_on",
    "model_keys",
)
_MODEL_FIELDS: Final = (
    "id",
    "path",
    "kind",
    "base",
    "weights_digest",
    "adapter_digest",
    "tokenizer_digest",
    "context_length",
    "parameters",
)
_READING_WORKS: Final = (Work.VERIFY, Work.FINALISE)
_SIDES: Final = ("reference", "candidate")
_SCORING: Final = ("teacher",)
"""Participants that draw nothing."""


def run_message(
    engine: Engine, claim: Claim, request: Mapping[str, Any], *, use_cache: bool = True
) -> Message:
    """The ``run`` message of a claim, from one snapshot of the ledger.

    Args:
        engine: The ledger.
        claim: The claim.
        request: The request of its analysis, see `workers.supervisor.requests`.
        use_cache: Whether samples that were drawn before may be read instead.

    Raises:
        AnalysisFault: if a model of the analysis is gone from the registry, or is no longer the one
            that the shard was planned for.
    """
    shard, analysis = claim.shard, claim.analysis
    collects = shard["work"] in (Work.PLAN, Work.FINALISE)
    with read(engine) as conn:
        found = {
            stream: _model(conn, analysis["tenant_id"], side["model"], pointer, shard["work"])
            for stream, (side, pointer) in _participants(request).items()
        }
        rewards = {
            model_id: _model(conn, analysis["tenant_id"], model_id, pointer, shard["work"])
            for model_id, pointer in _reward_models(request).items()
        }
        dataset = _dataset(conn, analysis["tenant_id"], request)
        imported = {
            side: _import(conn, analysis["tenant_id"], side, request[side]["import"])
            for side in _SIDES
            if _is_import(request.get(side))
        }
        inputs = inputs_for(conn, shard)
        failures = failures_for(conn, analysis["id"]) if collects else []
        # Summed over every shard: only for those who report it.
        spent = usage(conn, analysis["id"]) if collects else {}
        tokens = drawn_tokens(conn, analysis["id"]) if collects else 0
        pace = pace_of(conn, analysis["tenant_id"], found) if shard["work"] == Work.PLAN else None
        # Beside a log, prompts are numbered as the sides share them: the request cannot say which is which.
        cacheable = shard["work"] == Work.SAMPLE and not imported
        cache = _cache(conn, claim, request, found, use_cache) if cacheable else {}
        _check_digests(_planned_keys(conn, shard) if collects else set(shard["model_keys"]), found)
    return {
        "op": RUN,
        "claim": {"shard_id": shard["id"], "epoch": claim.epoch},
        "shard": {name: shard[name] for name in _SHARD_FIELDS},
        "analysis": {
            "id": analysis["id"],
            "tenant_id": analysis["tenant_id"],
            "kind": analysis["kind"],
            "name": analysis["name"],
            "usage": spent,
            "drawn_tokens": tokens,
            "spec": request,
            "revision": analysis["revision"],
            "status_on_finish": analysis["finish_as"] or AnalysisStatus.SUCCEEDED.value,
            "created_at": analysis["created_at"],
        },
        "models": found,
        "reward_models": rewards,
        "dataset": dataset,
        "imports": imported,
        "inputs": inputs,
        "failures": failures,
        "pace": pace,
        "partial": analysis["finish_as"] is not None or bool(failures),
        **cache,
    }


def pace_of(conn: Connection, tenant_id: str, found: Mapping[str, Mapping[str, Any]]) -> float | None:
    """New tokens a second that workers drew lately from the models of an analysis."""
    keys = {model_key(model) for model in found.values()}
    pace = recent_pace(conn, tenant_id, Work.SAMPLE, frozenset(keys))
    return pace.tokens / pace.seconds if pace is not None and pace.same_model and pace.tokens else None


def _cache(
    conn: Connection,
    claim: Claim,
    request: Mapping[str, Any],
    found: Mapping[str, Mapping[str, Any]],
    use_cache: bool,
) -> dict[str, Any]:
    """The draw keys of a sample shard's items, and committed artefacts that hold some of its samples."""
    shard, stream = claim.shard, claim.shard["stream"]
    keys = draw_keys(
        request,
        stream,
        weights=shard["model_keys"],
        model=found.get(stream) or found[_SIDES[0]],
        prompts=[index for index, _, _ in shard["items"]],
    )
    wanted: dict[str, tuple[int, int]] = {}
    for key, (_, low, high) in zip(keys, shard["items"], strict=True):
        first, last = wanted.get(key, (low, high))
        wanted[key] = (min(low, first), max(high, last))
    sources = find(conn, shard["tenant_id"], wanted) if use_cache else []
    return {"draw_keys": keys, "cached": sources}


def _participants(spec: Mapping[str, Any]) -> dict[str, tuple[Mapping[str, Any], str]]:
    """Name of each participant that is a model to what the request says of it, and where.

    A side's and a checkpoint's is that of the stream in which it draws.
    """
    sides = {
        side: (spec[side], f"/{side}/model")
        for side in (*_SIDES, *_SCORING)
        if spec.get(side) is not None and not _is_import(spec[side])
    }
    checkpoints = {
        f"candidate:{index}": (one, f"/candidates/{index}/model")
        for index, one in enumerate(spec.get("candidates") or ())
    }
    return {**sides, **checkpoints}


def _reward_models(spec: Mapping[str, Any]) -> dict[str, str]:
    """Registry ids of the reward models that judge, and where the request names them."""
    signals = {"signal": spec.get("signal"), "second_signal": spec.get("second_signal")}
    return {
        signal["model"]: f"/{place}/model"
        for place, signal in signals.items()
        if signal is not None and signal["kind"] == "reward_model"
    }


def _is_import(side: Mapping[str, Any] | None) -> bool:
    return side is not None and side.get("source") == "import"


def _import(conn: Connection, tenant_id: str, side: str, import_id: str) -> dict[str, Any]:
    """Where the parsed log of a side is."""
    row = imports.get(conn, tenant_id, import_id)
    pointer = f"/{side}/import"
    if row is None:
        raise AnalysisFault("unknown_import", f"no import `{import_id}` any more", pointer)
    if row.status != AnalysisStatus.SUCCEEDED:
        reason = (row.error or {}).get("detail", f"it ended as {row.status}")
        raise AnalysisFault("invalid_import", f"the import `{import_id}` cannot be used: {reason}", pointer)
    return {
        "id": row.id,
        "format": row.spec["format"],
        "sha256": row.spec["source"]["sha256"],
        "prompts": row.artifacts["prompts.jsonl"],
        "samples": row.artifacts["samples.parquet"],
        "summary": row.artifacts["summary.json"],
    }


def _model(conn: Connection, tenant_id: str, model_id: str, pointer: str, work: str) -> dict[str, Any]:
    row = models.get(conn, tenant_id, model_id)
    if row is None:
        raise AnalysisFault("unknown_model", f"no model `{model_id}` in the registry any more", pointer)
    # A result is not lost because its models went away after the last sample was scored.
    known = work in _READING_WORKS and row.weights_digest is not None
    if row.state != "ready" and not known:
        raise AnalysisFault("invalid_model", f"model `{model_id}` cannot be used: {row.error}", pointer)
    fields = {name: row._mapping[name] for name in _MODEL_FIELDS}
    return {**fields, "base_path": _base_path(conn, tenant_id, row)}


def _base_path(conn: Connection, tenant_id: str, row: Row[Any]) -> str | None:
    """Where an adapter's base lies; None for a whole model."""
    base = None if row.base is None else models.get(conn, tenant_id, row.base)
    return None if base is None else base.path


def _dataset(conn: Connection, tenant_id: str, request: Mapping[str, Any]) -> dict[str, str] | None:
    """Where the prompts are, if they are not in the request."""
    dataset_id = (request.get("prompts") or {}).get("dataset")
    if dataset_id is None:
        return None
    row = datasets.get(conn, tenant_id, dataset_id)
    if row is None:
        raise AnalysisFault("unknown_dataset", f"no data set `{dataset_id}` any more", "/prompts/dataset")
    return {"artefact_key": row.artefact_key, "sha256": row.sha256}


def _planned_keys(conn: Connection, shard: Mapping[str, Any]) -> set[str]:
    """Keys of the models that any shard of the analysis was planned for."""
    keys = select(shards.c.model_keys).where(shards.c.analysis_id == shard["analysis_id"])
    return {key for row in conn.execute(keys).scalars() for key in row}


def _check_digests(planned: set[str], found: Mapping[str, Mapping[str, Any]]) -> None:
    """Samples of two different models must never end in one result because a folder was replaced."""
    present = {model_key(model) for model in found.values()}
    if missing := planned - present:
        names = ", ".join(f"`{model['id']}`" for model in found.values())
        raise AnalysisFault(
            "model_changed",
            f"the weights of {names} changed while the analysis ran: "
            f"{', '.join(sorted(key[:12] for key in missing))}… is gone",
        )
