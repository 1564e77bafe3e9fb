"""The model registry as the reconciler's scan last saw it; the gateway only reads it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from ledger.clock import now_us
from ledger.tables import models, registry_scans

COLUMNS: Final = frozenset(models.c.keys()) - {"tenant_id", "scanned_at"}

_ONE: Final = select(models).where(models.c.tenant_id == bindparam("tenant"), models.c.id == bindparam("id"))


def upsert(conn: Connection, tenant_id: str, record: Mapping[str, Any]) -> None:
    """Record what a scan found.

    Args:
        conn: A writing transaction.
        tenant_id: Whose registry.
        record: Columns of ``ledger.tables.models``; ``id``, ``kind``, ``path`` and ``state``
            (``ready`` or ``invalid``) are required, what is left out is null.

    Raises:
        ValueError: if it names another column.
    """
    if unknown := set(record) - COLUMNS:
        raise ValueError(f"no such columns: {sorted(unknown)}")
    found = dict.fromkeys(COLUMNS) | dict(record) | {"scanned_at": now_us(conn)}
    known = (models.c.tenant_id == tenant_id) & (models.c.id == record["id"])
    if conn.execute(update(models).where(known).values(**found)).rowcount == 0:
        conn.execute(insert(models).values(tenant_id=tenant_id, **found))


def get(conn: Connection, tenant_id: str, model_id: str) -> Row[Any] | None:
    """One entry; None if the tenant has none of that id."""
    return conn.execute(_ONE, {"tenant": tenant_id, "id": model_id}).one_or_none()


def list_page(
    conn: Connection, tenant_id: str, *, limit: int, after: str | None = None
) -> Sequence[Row[Any]]:
    """A page of entries by id, from the one behind ``after``."""
    query = select(models).where(models.c.tenant_id == tenant_id)
    if after is not None:
        query = query.where(models.c.id > after)
    return conn.execute(query.order_by(models.c.id).limit(limit)).all()


def mark_missing(conn: Connection, tenant_id: str, present: Collection[str]) -> int:
    """Make entries that a scan no longer found invalid; they stay, since analyses name them.

    Returns:
        How many changed.
    """
    gone = conn.execute(
        update(models)
        .where(models.c.tenant_id == tenant_id, models.c.id.not_in(list(present)))
        .where(models.c.state != "invalid")
        .values(state="invalid", error="no longer in the models folder", scanned_at=now_us(conn))
    )
    return gone.rowcount


def record_scan(conn: Connection, tenant_id: str, root: str) -> None:
    """Record that a whole folder was scanned: from then on the registry says what there is."""
    conn.execute(delete(registry_scans).where(registry_scans.c.tenant_id == tenant_id))
    conn.execute(insert(registry_scans).values(tenant_id=tenant_id, root=root, scanned_at=now_us(conn)))


def forget_other_scans(conn: Connection, tenant_id: str, root: str) -> None:
    """Forget the scan of another folder: its models are not what there is."""
    other = (registry_scans.c.tenant_id == tenant_id) & (registry_scans.c.root != root)
    conn.execute(delete(registry_scans).where(other))


def is_scanned(conn: Connection, tenant_id: str) -> bool:
    """Whether the models folder was scanned at least once, be it empty."""
    query = select(registry_scans.c.tenant_id).where(registry_scans.c.tenant_id == tenant_id)
    return conn.execute(query).one_or_none() is not None
