"""All of the ledger at a glance, whoever owns what: for operators."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, func, select

from ledger.clock import now_us
from ledger.queue import claimable, waiting
from ledger.states import AnalysisStatus, ShardState
from ledger.tables import analyses, attempts, shards
from ledger.workers import live


@dataclass(frozen=True, slots=True)
class Fleet:
    """What there is to do, who does it, and what was done.

    Attributes:
        shards: Number of shards by state, every state.
        analyses: Number of analyses by status, every status.
        oldest_ready_seconds: How long the claimable shard that has waited longest has waited since it
            was made, freed by its samples or given back; 0 with none.
        workers: Workers seen lately and not retired.
        sampled_tokens: Tokens that shards of the analyses still kept have drawn.
        engine_seconds: Engine time of all attempts at shards of the analyses still kept.
    """

    shards: dict[str, int]
    analyses: dict[str, int]
    oldest_ready_seconds: float
    workers: int
    sampled_tokens: int
    engine_seconds: float


def fleet(conn: Connection) -> Fleet:
    """Count everything, in one transaction."""
    tokens = func.sum(shards.c.usage["sampled_tokens"].as_integer())
    return Fleet(
        shards=dict.fromkeys(ShardState, 0) | _counts(conn, shards.c.state),
        analyses=dict.fromkeys(AnalysisStatus, 0) | _counts(conn, analyses.c.status),
        oldest_ready_seconds=oldest_ready_seconds(conn),
        workers=len(live(conn)),
        sampled_tokens=int(conn.execute(select(tokens)).scalar() or 0),
        engine_seconds=float(conn.execute(select(func.sum(attempts.c.engine_seconds))).scalar() or 0.0),
    )


def oldest_ready_seconds(conn: Connection) -> float:
    """How long the claimable shard that has waited longest has waited, in seconds; 0 with none."""
    now = now_us(conn)
    drawn = shards.alias("drawn")
    freed = select(drawn.c.finished_at).where(drawn.c.id == shards.c.depends_on).scalar_subquery()
    given_back = (
        select(func.max(attempts.c.ended_at)).where(attempts.c.shard_id == shards.c.id).scalar_subquery()
    )
    since = _latest(conn, shards.c.created_at, shards.c.not_before, freed, given_back)
    oldest = conn.execute(select(func.min(since)).select_from(waiting).where(claimable(now))).scalar()
    return 0.0 if oldest is None else max(0, now - int(oldest)) / 1e6


def _latest(conn: Connection, *times: ColumnElement[int]) -> ColumnElement[int]:
    """The latest of several times of a row; one that is missing counts for nothing."""
    latest = func.max if conn.dialect.name == "sqlite" else func.greatest
    return latest(*(func.coalesce(time, 0) for time in times))


def _counts(conn: Connection, column: ColumnElement[str]) -> dict[str, int]:
    rows = conn.execute(select(column, func.count()).group_by(column))
    return {name: int(count) for name, count in rows}
