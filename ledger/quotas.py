"""How much a tenant has open, and how long the queue is."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, func, select

from ledger.clock import now_us
from ledger.states import LIVE_STATUSES, AnalysisStatus, ShardState
from ledger.tables import analyses, shards

_LIVE: Final = [status.value for status in LIVE_STATUSES]
_KIND: Final = analyses.c.kind != "import"  # a log is parsed in seconds, and bounded by its bytes


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits for a worker.

    Attributes:
        analyses: Analyses of which no shard was claimed yet.
        longest_seconds: How long the first of them has waited.
    """

    analyses: int
    longest_seconds: float


def hold_tenant(conn: Connection, tenant_id: str) -> None:
    """Let no two transactions admit work of a tenant at a time, so that both cannot take its last place.

    SQLite holds its one write lock already.
    """
    if conn.dialect.name == "postgresql":
        lock = func.pg_advisory_xact_lock(func.hashtextextended(f"tiltscope/admission/{tenant_id}", 0))
        conn.execute(select(lock))


def open_analyses(conn: Connection, tenant_id: str) -> int:
    """Analyses of a tenant that have not ended."""
    ours = analyses.c.tenant_id == tenant_id
    return int(
        conn.execute(select(func.count()).where(ours, _KIND, analyses.c.status.in_(_LIVE))).scalar_one()
    )


def waiting_rows(conn: Connection, tenant_id: str) -> int:
    """Samples of a tenant's open rounds that wait to be drawn, judged or scored, each counted for itself."""
    query = (
        select(func.coalesce(func.sum(shards.c.planned_rows), 0))
        .join(analyses, analyses.c.id == shards.c.analysis_id)
        .where(
            analyses.c.tenant_id == tenant_id,
            analyses.c.status.in_(_LIVE),
            shards.c.state == ShardState.READY.value,
        )
    )
    return int(conn.execute(query).scalar_one())


def queue(conn: Connection) -> Queue:
    """The queue of all tenants."""
    waits = func.coalesce(analyses.c.extended_at, analyses.c.created_at)
    query = select(func.count(), func.min(waits)).where(
        analyses.c.status == AnalysisStatus.QUEUED.value, _KIND
    )
    count, since = conn.execute(query).one()
    return Queue(int(count), 0.0 if since is None else (now_us(conn) - since) / 1e6)
