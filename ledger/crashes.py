"""What an engine's death says about the shard it ran.

Only an engine that died on its own while its supervisor lived is reported here. A supervisor's death
ends in an expired lease, which counts for nothing.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, and_, func, insert, or_, select

from ledger import attempts
from ledger.clock import now_us
from ledger.database import write
from ledger.endings import rest
from ledger.ids import new_id
from ledger.quarantine import give_up
from ledger.queue import claimable, waiting
from ledger.shards import Claim, contains, count_samples, held_by
from ledger.states import DRAWING_WORKS, ShardState
from ledger.tables import shards
from ledger.transitions import lock_analysis, move_shards

CRASHES_TO_SPLIT: Final = 2
CRASHES_TO_QUARANTINE: Final = 3
MAX_CRASHES: Final = 10
"""Crashes after which a lone item is given up even if nothing else shows that engines can run."""

MAX_LOSSES: Final = 10
"""Losses of a shard that count for nothing. Ten supervisors in a row that die with the same shard are no
accident any more: it may be what kills their machines, so each further one counts as a crash."""


def record_crash(engine: Engine, claim: Claim, *, detail: str) -> bool:
    """Count the death of an engine against the shard it ran.

    A shard of several items is split in halves at the second crash, each with its own verify and
    score shards, so that the item at fault is found in logarithmically many crashes. One item is
    quarantined at the third crash, if another shard succeeded since the first (the engine is not at
    fault) or no other shard is left that could.

    Args:
        engine: The ledger.
        claim: The lease the engine worked under.
        detail: How it died: exit code or signal.

    Returns:
        False if the lease was lost already: nothing changed.
    """
    with write(engine) as conn:
        analysis = lock_analysis(conn, claim.shard["analysis_id"])
        shard = conn.execute(
            select(shards).where(held_by(claim), shards.c.state == ShardState.RUNNING.value)
        ).one_or_none()
        if analysis is None or shard is None:
            return False
        return count_crash(conn, analysis, shard, detail=detail)


def count_crash(conn: Connection, analysis: Row[Any], shard: Row[Any], *, detail: str) -> bool:
    """Count a death against a RUNNING shard, and split or give it up if it is one too many.

    Args:
        conn: A writing transaction that holds the analysis's lock.
        analysis: Its row.
        shard: The shard's row, read in this transaction.
        detail: What happened.

    Returns:
        Whether the shard was still running at the row's epoch.
    """
    crashes = shard.crashes + 1
    error = {"code": "engine_crashed", "detail": detail}
    if shard.work in DRAWING_WORKS and len(shard.items) > 1:
        if crashes >= CRASHES_TO_SPLIT and analysis.finish_as is None:
            attempts.end(conn, [shard.id], outcome="crashed", detail=detail)
            _split(conn, shard, crashes)
            return True
    elif crashes >= CRASHES_TO_QUARANTINE and (
        crashes >= MAX_CRASHES or _engine_is_not_at_fault(conn, shard)
    ):
        return give_up(conn, analysis, shard, error=error, outcome="crashed", crashes=crashes)
    held = and_(shards.c.id == shard.id, shards.c.epoch == shard.epoch)
    freed = rest(conn, analysis, held, outcome="crashed", detail=detail, crashes=crashes, error=error)
    return bool(freed)


def _engine_is_not_at_fault(conn: Connection, shard: Row[Any]) -> bool:
    """Whether another shard succeeded since this one's first crash, or none is left that could."""
    another = shards.c.id != shard.id
    since = attempts.first_crash_at(conn, shard.id)
    succeeded = select(func.count()).where(
        another, shards.c.state == ShardState.DONE.value, shards.c.finished_at >= since
    )
    if conn.execute(succeeded).scalar_one() > 0:
        return True
    # Shards that crash engines themselves are no witnesses; several of them must not wait for each other.
    witnesses = (
        select(func.count())
        .select_from(waiting)
        .where(
            another,
            shards.c.crashes == 0,
            or_(shards.c.state == ShardState.RUNNING.value, claimable(now_us(conn))),
        )
    )
    return conn.execute(witnesses).scalar_one() == 0


def _split(conn: Connection, shard: Row[Any], crashes: int) -> None:
    middle = len(shard.items) // 2
    halves = [shard.items[:middle], shard.items[middle:]]
    move_shards(
        conn,
        and_(shards.c.id == shard.id, shards.c.epoch == shard.epoch),
        sources=[ShardState.RUNNING],
        target=ShardState.SPLIT,
        crashes=crashes,
        finished_at=now_us(conn),
    )
    made = [_replace(conn, shard, half, shard.depends_on) for half in halves]
    dependants = conn.execute(
        select(shards).where(shards.c.depends_on == shard.id, shards.c.state == ShardState.READY.value)
    ).all()
    for dependant in dependants:
        for half, half_id in zip(halves, made, strict=True):
            items = [item for item in dependant.items if contains(half, item)]
            if items:
                _replace(conn, dependant, items, half_id)
    move_shards(
        conn,
        shards.c.id.in_([dependant.id for dependant in dependants]),
        sources=[ShardState.READY],
        target=ShardState.SPLIT,
        finished_at=now_us(conn),
    )


def _replace(
    conn: Connection, shard: Row[Any], items: Sequence[Sequence[int]], depends_on: str | None
) -> str:
    """Insert a READY shard like ``shard`` for some of its items, after the last index of its round."""
    last = select(func.max(shards.c.idx)).where(
        shards.c.analysis_id == shard.analysis_id, shards.c.round == shard.round
    )
    shard_id = new_id("shd")
    like = ("tenant_id", "analysis_id", "round", "work", "stream", "scorer", "model_keys", "wants", "blocked")
    conn.execute(
        insert(shards).values(
            id=shard_id,
            idx=conn.execute(last).scalar_one() + 1,
            items=items,
            planned_rows=shard.planned_rows * count_samples(items) // count_samples(shard.items),
            depends_on=depends_on,
            state=ShardState.READY.value,
            created_at=now_us(conn),
            **{column: shard._mapping[column] for column in like},
        )
    )
    return shard_id
