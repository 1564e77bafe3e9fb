"""API keys: who may do what, until when."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from ledger.clock import microseconds, now_us
from ledger.tables import api_keys

USED_RESOLUTION_SECONDS: Final = 60
"""`last_used_at` is kept to the minute: a write a request would make every read a write."""


def create(
    conn: Connection,
    *,
    key_id: str,
    tenant_id: str,
    name: str,
    keyed_hash: str,
    scopes: Sequence[str],
    lifetime_seconds: float | None,
) -> Row[Any]:
    """Record a key; `lifetime_seconds` None never expires."""
    now = now_us(conn)
    expires = None if lifetime_seconds is None else now + microseconds(lifetime_seconds)
    conn.execute(
        insert(api_keys).values(
            id=key_id,
            tenant_id=tenant_id,
            name=name,
            keyed_hash=keyed_hash,
            scopes=sorted(scopes),
            created_at=now,
            expires_at=expires,
        )
    )
    return conn.execute(select(api_keys).where(api_keys.c.id == key_id)).one()


def get(conn: Connection, key_id: str) -> Row[Any] | None:
    """A key, be it valid or not."""
    return conn.execute(select(api_keys).where(api_keys.c.id == key_id)).one_or_none()


def valid(conn: Connection, key_id: str) -> Row[Any] | None:
    """A key that is neither revoked nor expired by the database's clock."""
    now = now_us(conn)
    return conn.execute(
        select(api_keys).where(
            api_keys.c.id == key_id,
            api_keys.c.revoked_at.is_(None),
            api_keys.c.expires_at.is_(None) | (api_keys.c.expires_at > now),
        )
    ).one_or_none()


def was_used(row: Row[Any], now: int) -> bool:
    """Whether its use is recorded already, to the minute."""
    return row.last_used_at is not None and now - row.last_used_at < microseconds(USED_RESOLUTION_SECONDS)


def record_use(conn: Connection, key_id: str) -> None:
    """Remember that a key was used now."""
    conn.execute(update(api_keys).where(api_keys.c.id == key_id).values(last_used_at=now_us(conn)))


def listing(conn: Connection, tenant_id: str | None) -> Sequence[Row[Any]]:
    """All keys, or a tenant's, oldest first."""
    query = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)
    if tenant_id is not None:
        query = query.where(api_keys.c.tenant_id == tenant_id)
    return conn.execute(query).all()


def revoke(conn: Connection, key_id: str) -> bool:
    """End a key at once; whether there was one to end."""
    query = update(api_keys).where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
    return conn.execute(query.values(revoked_at=now_us(conn))).rowcount == 1


def shorten(conn: Connection, key_id: str, seconds: float) -> None:
    """Let a key expire in so many seconds, if it would not sooner."""
    end = now_us(conn) + microseconds(seconds)
    conn.execute(
        update(api_keys)
        .where(api_keys.c.id == key_id, api_keys.c.expires_at.is_(None) | (api_keys.c.expires_at > end))
        .values(expires_at=end)
    )
