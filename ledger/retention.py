"""Removing what nobody may read any more."""

from typing import Final

from sqlalchemy import Connection, Engine, delete, select

from ledger import requests
from ledger.clock import microseconds, now_us
from ledger.database import read, write
from ledger.datasets import is_artefact
from ledger.states import TERMINAL_STATUSES
from ledger.stores import Store
from ledger.tables import analyses, idempotency, shards
from ledger.transitions import lock_analysis

DAY_SECONDS: Final = 86_400.0


def collect(
    engine: Engine,
    store: Store,
    *,
    orphan_seconds: float = DAY_SECONDS,
    idempotency_seconds: float = DAY_SECONDS,
) -> int:
    """Delete finished analyses past their retention, old idempotency keys and orphan files.

    An orphan is a temporary, or an artefact that no committed row names, such as that of a holder
    who lost its lease. It is left alone while it is young: its commit may be on the way.

    Args:
        engine: The ledger.
        store: The artefacts.
        orphan_seconds: Age at which an orphan is deleted.
        idempotency_seconds: Age at which an idempotency key is forgotten.

    Returns:
        How many analyses and files were deleted.
    """
    with write(engine) as conn:
        old = now_us(conn) - microseconds(idempotency_seconds)
        conn.execute(delete(idempotency).where(idempotency.c.created_at < old))
    removed = sum(_remove(engine, store, analysis_id) for analysis_id in _outlived(engine))
    removed += store.sweep_temporaries(orphan_seconds)
    for key in store.keys_older_than(orphan_seconds):
        with read(engine) as conn:
            orphan = not _is_named(conn, key)
        if orphan:
            store.delete(key)
            removed += 1
    return removed


def _outlived(engine: Engine) -> list[str]:
    with read(engine) as conn:
        query = select(analyses.c.id).where(
            analyses.c.status.in_([status.value for status in TERMINAL_STATUSES]),
            analyses.c.retained_until < now_us(conn),
        )
        return list(conn.execute(query).scalars())


def _remove(engine: Engine, store: Store, analysis_id: str) -> int:
    with write(engine) as conn:
        row = lock_analysis(conn, analysis_id)
        if row is None or row.status not in TERMINAL_STATUSES:  # deleted, or extended meanwhile
            return 0
        conn.execute(delete(analyses).where(analyses.c.id == analysis_id))
    # After the commit: files without a row are orphans, a row without its files is a lie.
    store.delete_prefix(f"{row.tenant_id}/{analysis_id}")
    return 1


def _is_named(conn: Connection, key: str) -> bool:
    tenant_id, _, rest = key.partition("/")
    analysis_id = rest.partition("/")[0]
    named = conn.execute(
        select(shards.c.id).where(shards.c.analysis_id == analysis_id, shards.c.artefact_key == key)
    ).first()
    if named is not None or is_artefact(conn, key):
        return True
    query = requests.ASKED.where(analyses.c.id == analysis_id, analyses.c.tenant_id == tenant_id)
    row = conn.execute(query).one_or_none()
    if row is None:
        return False
    source = row.spec.get("source") or {}  # of an import: the log as it arrived
    return source.get("key") == key or any(stored["key"] == key for stored in row.artifacts.values())
