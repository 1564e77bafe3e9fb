"""Analyses: accepting, reading, changing, cancelling and deleting them."""

from collections.abc import Mapping, Sequence
from types import EllipsisType
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, exists, func, insert, or_
from sqlalchemy import delete as sql_delete

from ledger import requests
from ledger.clock import microseconds, now_us
from ledger.endings import announce, settle
from ledger.errors import Conflict
from ledger.shards import PLAN_IDX, insert_round
from ledger.states import LIVE_STATUSES, AnalysisStatus, Work
from ledger.tables import analyses
from ledger.transitions import lock_analysis, move_analysis, touch_analysis

_OF_TENANT: Final = requests.ASKED.where(
    analyses.c.tenant_id == bindparam("tenant"), analyses.c.id == bindparam("id")
)


def create(
    conn: Connection,
    *,
    tenant_id: str,
    analysis_id: str,
    kind: str,
    name: str | None,
    labels: Mapping[str, str],
    spec: Mapping[str, Any],
    spec_sha256: str,
    deadline_seconds: float | None,
    retention_seconds: float | None,
    priority: int = 0,
    first: Work = Work.PLAN,
) -> Row[Any]:
    """Accept an analysis: its row, its first shard and its first event.

    Args:
        conn: A writing transaction; store the idempotency row in the same one.
        tenant_id: Whose it is.
        analysis_id: Its id, from ``ledger.ids.new_id("anl")``.
        kind: Kind of analysis.
        name: What its owner calls it.
        labels: Its owner's labels.
        spec: The request with every default filled in.
        spec_sha256: Hash of the canonical request.
        deadline_seconds: Time it may take from now; None for any.
        retention_seconds: How long it is kept after its end; None until it is deleted.
        priority: Among its tenant's analyses; higher goes first.
        first: Work of its first shard: planning, or finalising what needs no plan.

    Returns:
        The row, with its ``spec``.
    """
    now = now_us(conn)
    row = conn.execute(
        insert(analyses)
        .values(
            id=analysis_id,
            tenant_id=tenant_id,
            kind=kind,
            name=name,
            labels=dict(labels),
            status=AnalysisStatus.QUEUED.value,
            partial=False,
            version=1,
            phase="planning",
            spec_sha256=spec_sha256,
            errors=[],
            warnings=[],
            artifacts={},
            event_seq=0,
            priority=priority,
            deadline_at=None if deadline_seconds is None else now + microseconds(deadline_seconds),
            retention_seconds=retention_seconds,
            created_at=now,
        )
        .returning(analyses)
    ).one()
    requests.record(conn, row, row.revision, spec)
    insert_round(conn, row._asdict(), 0, [{"idx": PLAN_IDX if first is Work.PLAN else 0, "work": first}])
    announce(conn, analysis_id)
    return conn.execute(requests.ASKED.where(analyses.c.id == analysis_id)).one()


def get(conn: Connection, tenant_id: str, analysis_id: str) -> Row[Any] | None:
    """The tenant's analysis, with its ``spec``; None if it has none of that id."""
    return conn.execute(_OF_TENANT, {"tenant": tenant_id, "id": analysis_id}).one_or_none()


def list_page(
    conn: Connection,
    tenant_id: str,
    *,
    limit: int,
    after: tuple[int, str] | None = None,
    status: str | None = None,
    kind: str | None = None,
    label: tuple[str, str] | None = None,
) -> Sequence[Row[Any]]:
    """A page of the tenant's analyses with their ``spec``, newest first.

    Args:
        conn: A transaction.
        tenant_id: Whose.
        limit: Most rows; ask for one more than a page to learn whether there is a next.
        after: ``(created_at, id)`` of the last row of the page before: newer arrivals shift nothing.
        status: Only this status.
        kind: Only this kind.
        label: Only those with this label ``(key, value)``.
    """
    query = requests.ASKED.where(analyses.c.tenant_id == tenant_id)
    if after is not None:
        created_at, analysis_id = after
        same_time = and_(analyses.c.created_at == created_at, analyses.c.id < analysis_id)
        query = query.where(or_(analyses.c.created_at < created_at, same_time))
    if status is not None:
        query = query.where(analyses.c.status == status)
    if kind is not None:
        query = query.where(analyses.c.kind == kind)
    else:
        query = query.where(analyses.c.kind != "import")
    if label is not None:
        query = query.where(_has_label(conn, *label))
    return conn.execute(query.order_by(analyses.c.created_at.desc(), analyses.c.id.desc()).limit(limit)).all()


def update(
    conn: Connection,
    tenant_id: str,
    analysis_id: str,
    *,
    name: str | EllipsisType | None = ...,
    labels: Mapping[str, str] | EllipsisType = ...,
) -> Row[Any] | None:
    """Rename or relabel an analysis; an argument left out leaves its column.

    Returns:
        The row as it now is; None if the tenant has no such analysis.
    """
    if get(conn, tenant_id, analysis_id) is None:
        return None
    changes: dict[str, Any] = {}
    if name is not ...:
        changes["name"] = name
    if labels is not ...:
        changes["labels"] = dict(labels)
    if changes:
        touch_analysis(conn, analysis_id, **changes)
    return get(conn, tenant_id, analysis_id)


def delete(conn: Connection, tenant_id: str, analysis_id: str) -> bool:
    """Remove a finished analysis with its shards and events; its artefacts are the caller's to delete.

    Returns:
        False if the tenant has no such analysis.

    Raises:
        Conflict: if it is live.
    """
    row = lock_analysis(conn, analysis_id)
    if row is None or row.tenant_id != tenant_id:
        return False
    if row.status in LIVE_STATUSES:
        raise Conflict(f"analysis {analysis_id} is {row.status}; cancel it first")
    conn.execute(sql_delete(analyses).where(analyses.c.id == analysis_id))
    return True


def request_cancel(conn: Connection, tenant_id: str, analysis_id: str) -> Row[Any] | None:
    """Ask an analysis to stop; asking again changes nothing, nor does asking a finished one.

    What waits is cancelled at once. Running shards learn of it at their next renewal, and what they
    commit before is kept. With nothing running it ends here, or is finalised if its pilot round is done.

    Returns:
        The row as it now is; None if the tenant has no such analysis.
    """
    row = lock_analysis(conn, analysis_id)
    if row is None or row.tenant_id != tenant_id:
        return None
    if row.status not in LIVE_STATUSES or row.cancel_requested_at is not None:
        return get(conn, tenant_id, analysis_id)
    ending = row.finish_as or AnalysisStatus.CANCELLED.value
    touch_analysis(conn, analysis_id, cancel_requested_at=now_us(conn), finish_as=ending)
    if ending == AnalysisStatus.CANCELLED and row.status == AnalysisStatus.RUNNING:
        move_analysis(conn, analysis_id, AnalysisStatus.CANCELLING)
        announce(conn, analysis_id)
    settle(conn, analysis_id)
    return get(conn, tenant_id, analysis_id)


def _has_label(conn: Connection, key: str, value: str) -> ColumnElement[bool]:
    # Not a JSON path: SQLite's has no way to quote a quotation mark in a key.
    members = func.json_each if conn.dialect.name == "sqlite" else func.json_each_text
    each = members(analyses.c.labels).table_valued("key", "value")
    return exists().where(each.c.key == key, each.c.value == value)
