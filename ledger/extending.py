"""Extending an analysis that has a result: the same one goes on, with more to draw."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row

from ledger import events, requests
from ledger.clock import microseconds, now_us
from ledger.endings import announce
from ledger.errors import Conflict
from ledger.shards import insert_plan, last_round
from ledger.states import LIVE_STATUSES, AnalysisStatus
from ledger.tables import analyses
from ledger.transitions import lock_analysis, move_analysis


def extend(
    conn: Connection,
    tenant_id: str,
    analysis_id: str,
    *,
    revision: int,
    spec: Mapping[str, Any],
    spec_sha256: str,
    deadline_seconds: float | None,
) -> Row[Any] | None:
    """Take up an analysis again under a larger budget.

    It waits for a worker as at first, with a plan shard behind its last round: what that plans is what the
    budget asks for and no committed artefact has. Its result stays until the next one is committed.

    Args:
        conn: A writing transaction; store the idempotency row in the same one.
        tenant_id: Whose it is.
        analysis_id: Which.
        revision: The one that the caller goes on from.
        spec: Its request from now on.
        spec_sha256: Hash of that.
        deadline_seconds: Time it may take from now; None for any.

    Returns:
        The row as it now is, with its ``spec``; None if the tenant has no such analysis.

    Raises:
        Conflict: it is live, has no result, or was extended meanwhile.
    """
    row = lock_analysis(conn, analysis_id)
    if row is None or row.tenant_id != tenant_id:
        return None
    if row.status in LIVE_STATUSES or row.result_revision is None or row.revision != revision:
        raise Conflict(f"analysis {analysis_id} is {row.status} and cannot be extended")
    now = now_us(conn)
    move_analysis(
        conn,
        analysis_id,
        AnalysisStatus.QUEUED,
        revision=row.revision + 1,
        extended_at=now,
        phase="planning",
        spec_sha256=spec_sha256,
        error=None,
        finish_as=None,
        cancel_requested_at=None,
        deadline_at=None if deadline_seconds is None else now + microseconds(deadline_seconds),
        retained_until=None,
        finished_at=None,
    )
    requests.record(conn, row, row.revision + 1, spec)
    # A round of its own: the last one may have had a plan shard that was cancelled or given up.
    insert_plan(conn, row._asdict(), last_round(conn, analysis_id) + 1)
    events.append(conn, analysis_id, "extended", {"revision": row.revision + 1, "budget": spec["budget"]})
    announce(conn, analysis_id)
    return conn.execute(requests.ASKED.where(analyses.c.id == analysis_id)).one()
