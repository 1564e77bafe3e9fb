"""What an analysis needs beside its models: data sets and imports.

They cannot be deleted while the analysis is there, and an import that is still being parsed is waited for:
the first shard stays blocked until the last of them has ended.
"""

from collections.abc import Collection

from sqlalchemy import Connection, exists, insert, select, update

from ledger.states import LIVE_STATUSES, ShardState
from ledger.tables import analyses, shards, uses
from ledger.transitions import lock_analysis

_LIVE = analyses.c.status.in_([status.value for status in LIVE_STATUSES])


def record(conn: Connection, analysis_id: str, resource_ids: Collection[str]) -> None:
    """Record what an analysis uses, in the transaction that creates it."""
    if not resource_ids:
        return
    # Locked, so that an import cannot end between this look and the commit without finding us.
    query = select(analyses.c.id).where(analyses.c.id.in_(sorted(resource_ids)), _LIVE).with_for_update()
    awaited = conn.execute(query).all()
    rows = [{"analysis_id": analysis_id, "resource_id": resource} for resource in sorted(set(resource_ids))]
    conn.execute(insert(uses), rows)
    if awaited:
        conn.execute(update(shards).where(shards.c.analysis_id == analysis_id).values(blocked=True))


def release_users(conn: Connection, import_id: str) -> None:
    """Let the analyses go on that waited for an import, unless they wait for another too.

    Args:
        conn: The transaction that ends the import; it holds the import's lock.
        import_id: The import.
    """
    users = conn.execute(select(uses.c.analysis_id).where(uses.c.resource_id == import_id)).scalars().all()
    for analysis_id in sorted(users):
        # Of two imports that end at once the second waits here, and then sees the first.
        lock_analysis(conn, analysis_id)
        others = exists().where(uses.c.analysis_id == analysis_id, uses.c.resource_id == analyses.c.id, _LIVE)
        if conn.execute(select(others)).scalar_one():
            continue
        waits = (shards.c.analysis_id == analysis_id) & (shards.c.round == 0) & shards.c.depends_on.is_(None)
        conn.execute(
            update(shards).where(waits, shards.c.state == ShardState.READY.value).values(blocked=False)
        )
