"""Webhooks: where a tenant wants to be told what ended."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, func, insert, or_, select, update

from ledger.clock import microseconds, now_us
from ledger.errors import Conflict
from ledger.tables import webhooks


def create(
    conn: Connection,
    *,
    tenant_id: str,
    webhook_id: str,
    name: str | None,
    url: str,
    events: Sequence[str],
    secret: str,
    most: int,
) -> Row[Any]:
    """Keep a webhook.

    Args:
        conn: A writing transaction.
        tenant_id: Whose it is.
        webhook_id: Its id, from ``ledger.ids.new_id("whk")``.
        name: What its owner calls it.
        url: Where to deliver.
        events: Kinds of messages it wants.
        secret: What signs them, sealed.
        most: Webhooks a tenant may have; two that are made at once may exceed it by one.

    Raises:
        Conflict: the tenant has as many already.
    """
    count = select(func.count()).where(webhooks.c.tenant_id == tenant_id)
    if conn.execute(count).scalar_one() >= most:
        raise Conflict(f"the tenant has {most} webhooks already")
    row = insert(webhooks).values(
        id=webhook_id,
        tenant_id=tenant_id,
        name=name,
        url=url,
        events=list(events),
        secret=secret,
        created_at=now_us(conn),
    )
    return conn.execute(row.returning(webhooks)).one()


def get(conn: Connection, tenant_id: str, webhook_id: str) -> Row[Any] | None:
    """The tenant's webhook; None if it has none of that id."""
    return conn.execute(select(webhooks).where(_is(tenant_id, webhook_id))).one_or_none()


def list_page(
    conn: Connection, tenant_id: str, *, limit: int, after: tuple[int, str] | None = None
) -> Sequence[Row[Any]]:
    """A page of the tenant's webhooks, newest first, behind ``(created_at, id)`` of the page before."""
    query = select(webhooks).where(webhooks.c.tenant_id == tenant_id)
    if after is not None:
        created_at, webhook_id = after
        same_time = and_(webhooks.c.created_at == created_at, webhooks.c.id < webhook_id)
        query = query.where(or_(webhooks.c.created_at < created_at, same_time))
    return conn.execute(query.order_by(webhooks.c.created_at.desc(), webhooks.c.id.desc()).limit(limit)).all()


def rotate(
    conn: Connection, tenant_id: str, webhook_id: str, *, secret: str, overlap_seconds: float
) -> Row[Any] | None:
    """Give a webhook a new secret; the one before signs too for a while, one before that no longer.

    Args:
        conn: A writing transaction.
        tenant_id: Whose.
        webhook_id: Which.
        secret: The new one, sealed.
        overlap_seconds: How long both sign.

    Returns:
        The row as it now is; None if the tenant has no such webhook.
    """
    changed = update(webhooks).where(_is(tenant_id, webhook_id))
    changed = changed.values(
        secret=secret,
        old_secret=webhooks.c.secret,
        old_until=now_us(conn) + microseconds(overlap_seconds),
    )
    return conn.execute(changed.returning(webhooks)).one_or_none()


def remove(conn: Connection, tenant_id: str, webhook_id: str) -> bool:
    """Delete a webhook with its messages and its log; False if the tenant has none of that id."""
    return conn.execute(delete(webhooks).where(_is(tenant_id, webhook_id))).rowcount == 1


def _is(tenant_id: str, webhook_id: str) -> Any:
    return and_(webhooks.c.tenant_id == tenant_id, webhooks.c.id == webhook_id)
