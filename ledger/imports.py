"""Imports: logs of samples, parsed by a worker as a job of one shard.

An import is a row of ``analyses`` of the kind `KIND`: it waits, runs, ends and is cleaned up by the same
verbs, so that what holds for the shards of an analysis under faults holds for it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, or_, select

from ledger import analyses, requests
from ledger.errors import Conflict
from ledger.states import Work
from ledger.tables import analyses as jobs
from ledger.tables import uses

KIND: Final = "import"


def create(
    conn: Connection,
    *,
    tenant_id: str,
    import_id: str,
    name: str | None,
    spec: Mapping[str, Any],
    sha256: str,
) -> Row[Any]:
    """Accept an import: its row, the shard that parses it and its first event.

    Args:
        conn: A writing transaction.
        tenant_id: Whose it is.
        import_id: Its id, from ``ledger.ids.new_id("imp")``.
        name: What its owner calls it.
        spec: ``{format, filter, source: {key, sha256, bytes}}``.
        sha256: Hash of the log.
    """
    return analyses.create(
        conn,
        tenant_id=tenant_id,
        analysis_id=import_id,
        kind=KIND,
        name=name,
        labels={},
        spec=spec,
        spec_sha256=sha256,
        deadline_seconds=None,
        retention_seconds=None,
        first=Work.FINALISE,
    )


def get(conn: Connection, tenant_id: str, import_id: str) -> Row[Any] | None:
    """The tenant's import; None if it has none of that id."""
    row = analyses.get(conn, tenant_id, import_id)
    return row if row is not None and row.kind == KIND else None


def list_page(
    conn: Connection, tenant_id: str, *, limit: int, after: tuple[int, str] | None = None
) -> Sequence[Row[Any]]:
    """A page of the tenant's imports, newest first, behind ``(created_at, id)`` of the page before."""
    query = requests.ASKED.where(jobs.c.tenant_id == tenant_id, jobs.c.kind == KIND)
    if after is not None:
        created_at, import_id = after
        same_time = and_(jobs.c.created_at == created_at, jobs.c.id < import_id)
        query = query.where(or_(jobs.c.created_at < created_at, same_time))
    return conn.execute(query.order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(limit)).all()


def remove(conn: Connection, tenant_id: str, import_id: str) -> bool:
    """Delete a finished import; its artefacts are the caller's to delete.

    Returns:
        False if the tenant has no such import.

    Raises:
        Conflict: if it is live, or an analysis uses it.
    """
    if get(conn, tenant_id, import_id) is None:
        return False
    if conn.execute(select(uses.c.analysis_id).where(uses.c.resource_id == import_id)).first() is not None:
        raise Conflict("an analysis uses this import")
    return analyses.delete(conn, tenant_id, import_id)
