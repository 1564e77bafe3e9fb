"""Who changed what: one row a request that may have changed something."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, and_, insert, or_, select

from ledger.clock import now_us
from ledger.ids import new_id
from ledger.tables import audit


def record(
    conn: Connection, *, tenant_id: str, actor: str, action: str, target: str, status: int, request_id: str
) -> None:
    """Remember a request.

    Args:
        conn: A writing transaction.
        tenant_id: Whose things it may have changed.
        actor: Who asked.
        action: Method and path template.
        target: The path that was asked for.
        status: HTTP status it was answered with.
        request_id: Also in the answer and in the log.
    """
    conn.execute(
        insert(audit).values(
            id=new_id("aud"),
            tenant_id=tenant_id,
            actor=actor,
            action=action,
            target=target,
            status=status,
            request_id=request_id,
            created_at=now_us(conn),
        )
    )


def list_page(
    conn: Connection, tenant_id: str, *, limit: int, after: tuple[int, str] | None
) -> Sequence[Row[Any]]:
    """A page of a tenant's entries, newest first, from the one behind ``after``."""
    query = select(audit).where(audit.c.tenant_id == tenant_id)
    if after is not None:
        created_at, entry_id = after
        same_time = and_(audit.c.created_at == created_at, audit.c.id < entry_id)
        query = query.where(or_(audit.c.created_at < created_at, same_time))
    return conn.execute(query.order_by(audit.c.created_at.desc(), audit.c.id.desc()).limit(limit)).all()
