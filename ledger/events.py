"""What happened to an analysis, in order: the source of the event stream."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from ledger.clock import microseconds, now_us
from ledger.errors import NotFound
from ledger.tables import analyses, events
from ledger.transitions import touch_analysis


def append(conn: Connection, analysis_id: str, type: str, body: Mapping[str, Any]) -> int:
    """Add an event in the caller's transaction.

    The number comes from the analysis row, whose lock is then held until the commit: a reader who
    has seen event n has seen every smaller one, which a database sequence would not promise.

    Returns:
        Its number: 1, 2, … without gaps within the analysis.

    Raises:
        NotFound: if there is no such analysis.
    """
    row = conn.execute(
        update(analyses)
        .where(analyses.c.id == analysis_id)
        .values(event_seq=analyses.c.event_seq + 1)
        .returning(analyses.c.event_seq, analyses.c.tenant_id)
    ).one_or_none()
    if row is None:
        raise NotFound(f"no analysis {analysis_id}")
    conn.execute(
        insert(events).values(
            analysis_id=analysis_id,
            seq=row.event_seq,
            tenant_id=row.tenant_id,
            type=type,
            body=dict(body),
            created_at=now_us(conn),
        )
    )
    return int(row.event_seq)


def after(conn: Connection, tenant_id: str, analysis_id: str, seq: int, limit: int) -> Sequence[Row[Any]]:
    """Up to ``limit`` events numbered above ``seq``, in order (0 starts at the first)."""
    return conn.execute(
        select(events)
        .where(events.c.tenant_id == tenant_id, events.c.analysis_id == analysis_id, events.c.seq > seq)
        .order_by(events.c.seq)
        .limit(limit)
    ).all()


def is_recent(conn: Connection, analysis_id: str, type: str, *, seconds: float) -> bool:
    """Whether the newest event of the analysis is of this type and younger than that."""
    query = select(events.c.type, events.c.created_at).where(events.c.analysis_id == analysis_id)
    newest = conn.execute(query.order_by(events.c.seq.desc()).limit(1)).one_or_none()
    if newest is None or newest.type != type:
        return False
    return bool(newest.created_at > now_us(conn) - microseconds(seconds))


def warn(conn: Connection, analysis_id: str, warnings: Sequence[Mapping[str, Any]]) -> None:
    """Keep warnings ``{code, detail}`` with the analysis and announce those that are new."""
    if not warnings:
        return
    kept = select(analyses.c.warnings).where(analyses.c.id == analysis_id).with_for_update()
    known = list(conn.execute(kept).scalar_one())
    fresh: list[dict[str, Any]] = []
    for warning in warnings:
        entry = {"code": warning["code"], "detail": warning["detail"]}
        if entry not in known and entry not in fresh:
            fresh.append(entry)
    if not fresh:
        return
    touch_analysis(conn, analysis_id, warnings=known + fresh)
    for entry in fresh:
        append(conn, analysis_id, "warning", entry)
