"""From the ledger's rows to the analysis object."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row

from api_schemas.analyses import LIVE, Analysis, ItemError, Links, Progress, Usage
from api_schemas.problems import Problem
from ledger.clock import now_us
from ledger.progress import progress, rows_before, usage
from service.timestamps import timestamp


def represent(conn: Connection, row: Row[Any]) -> Analysis:
    """The analysis object of a row, with progress and usage counted now."""
    return Analysis(
        id=row.id,
        object="analysis",
        kind=row.kind,
        name=row.name,
        labels=row.labels,
        status=row.status,
        partial=row.partial,
        version=row.version,
        revision=row.revision,
        result_revision=row.result_revision,
        progress=_progress(conn, row),
        spec=row.spec,
        usage=Usage(**usage(conn, row.id)),
        error=Problem.model_validate(row.error) if row.error else None,
        errors=[_item_error(error) for error in row.errors],
        created_at=timestamp(row.created_at),
        started_at=_optional_timestamp(row.started_at),
        finished_at=_optional_timestamp(row.finished_at),
        deadline_at=_optional_timestamp(row.deadline_at),
        retained_until=_optional_timestamp(row.retained_until),
        links=Links.of(row.id),
    )


def entity_tag(analysis: Analysis) -> str:
    """Weak ETag: the version, and the progress, which running shards report without a new version."""
    return f'W/"{analysis.version}-{analysis.progress.completed}-{analysis.progress.total}"'


def _item_error(error: Mapping[str, Any]) -> ItemError:
    return ItemError(prompt_id=error["prompt_id"], code=error["code"], detail=error["detail"])


def _optional_timestamp(microseconds: int | None) -> str | None:
    return None if microseconds is None else timestamp(microseconds)


def _progress(conn: Connection, row: Row[Any]) -> Progress:
    counted = progress(conn, row.id)
    fraction = counted.completed / counted.total if counted.total else 0.0
    return Progress(
        phase=row.phase,
        completed=counted.completed,
        total=counted.total,
        fraction=1.0 if row.status == "succeeded" else min(fraction, 1.0),
        eta_seconds=_eta_seconds(conn, row, counted.completed, counted.total),
    )


def _eta_seconds(conn: Connection, row: Row[Any], completed: int, total: int) -> float | None:
    """Time left for the rows planned so far at the pace so far; rounds still to come are unknown."""
    if row.status not in LIVE or row.started_at is None or completed == 0:
        return None
    began, new = row.started_at, completed
    if row.extended_at is not None:
        began, new = row.extended_at, completed - rows_before(conn, row.id, row.extended_at)
    if new <= 0:
        return None
    elapsed: float = (now_us(conn) - began) / 1e6
    return round(elapsed * max(total - completed, 0) / new, 1)
