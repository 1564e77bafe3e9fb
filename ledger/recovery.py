"""What the reconciler does. Each verb is idempotent and safe beside another reconciler's."""

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    Select,
    and_,
    exists,
    or_,
    select,
    update,
)

from ledger import attempts, events
from ledger.clock import microseconds, now_us
from ledger.crashes import MAX_LOSSES, count_crash
from ledger.database import read, write
from ledger.endings import rest, settle
from ledger.queue import claimable, waiting
from ledger.shards import close_round
from ledger.states import LIVE_STATUSES, OPEN_STATES, AnalysisStatus, ShardState, Work
from ledger.tables import analyses, shards
from ledger.transitions import lock_analysis, touch_analysis

WAKEUP_SECONDS: Final = 30.0
"""A wake-up that brought nobody in this time is published again."""

_OPEN: Final = shards.c.state.in_([state.value for state in OPEN_STATES])
_OURS: Final = shards.c.analysis_id == analyses.c.id


def expire_leases(engine: Engine) -> int:
    """Free the shards whose leases ran out, by the database's clock; no crash is counted.

    Except for a shard that was lost `ledger.crashes.MAX_LOSSES` times before.

    The epoch stays: the next claim raises it, and until then the old holder finds the shard not
    RUNNING.

    Returns:
        How many shards were freed.
    """
    with read(engine) as conn:
        late = shards.c.lease_until < now_us(conn)
        stale = conn.execute(_running_analyses().where(late)).scalars().all()
    freed = 0
    for analysis_id in stale:
        with write(engine) as conn:
            late = shards.c.lease_until < now_us(conn)
            freed += _free(conn, analysis_id, late, "the lease ran out")
    return freed


def release_boot(engine: Engine, boot_id: str) -> int:
    """Free at once every shard that a dead process held; no crash is counted.

    Args:
        engine: The ledger.
        boot_id: The process's ``WorkerIdentity.boot_id``.

    Returns:
        How many shards were freed.
    """
    held = shards.c.boot_id == boot_id
    with read(engine) as conn:
        stale = conn.execute(_running_analyses().where(held)).scalars().all()
    freed = 0
    for analysis_id in stale:
        with write(engine) as conn:
            freed += _free(conn, analysis_id, held, "its process died")
    return freed


def close_rounds(engine: Engine, analysis_id: str | None = None) -> int:
    """Insert the plan shard of every round whose shards have all come to their end.

    Args:
        engine: The ledger.
        analysis_id: Only this analysis; None for all.

    Returns:
        How many plan shards were inserted.
    """
    quiet = (
        select(analyses.c.id)
        .where(analyses.c.status == AnalysisStatus.RUNNING.value, analyses.c.finish_as.is_(None))
        .where(~exists().where(_OURS, _OPEN))
    )
    if analysis_id is not None:
        quiet = quiet.where(analyses.c.id == analysis_id)
    return _each(engine, quiet, _close_round)


def enforce_deadlines(engine: Engine) -> int:
    """Tell the analyses past their deadline to end.

    One whose finalise shard is still to be done has drawn all it wanted, so it may finish.

    Returns:
        How many analyses were told.
    """
    with read(engine) as conn:
        overdue = (
            select(analyses.c.id)
            .where(
                analyses.c.status.in_([AnalysisStatus.QUEUED.value, AnalysisStatus.RUNNING.value]),
                analyses.c.finish_as.is_(None),
                analyses.c.deadline_at <= now_us(conn),
            )
            .where(~exists().where(_OURS, _OPEN, shards.c.work == Work.FINALISE.value))
        )
    return _each(engine, overdue, _expire)


def settle_cancelled(engine: Engine) -> int:
    """Carry on the analyses that were told to end and whose shards have stopped.

    Returns:
        How many were ended or given a finalise shard.
    """
    stopped = (
        select(analyses.c.id)
        .where(analyses.c.status.in_([status.value for status in LIVE_STATUSES]))
        .where(analyses.c.finish_as.is_not(None))
        .where(
            ~exists().where(
                _OURS,
                or_(
                    shards.c.state == ShardState.RUNNING.value,
                    and_(shards.c.state == ShardState.READY.value, shards.c.work == Work.FINALISE.value),
                ),
            )
        )
    )
    return _each(engine, stopped, lambda conn, analysis: settle(conn, analysis.id))


def due_wakeups(engine: Engine, limit: int) -> int:
    """How many wake-ups to publish now; each shard is counted once in 30 s.

    Args:
        engine: The ledger.
        limit: Most wake-ups wanted.

    Returns:
        Number of claimable shards, up to ``limit``, that nobody was called for lately.
    """
    with write(engine) as conn:
        now = now_us(conn)
        forgotten = or_(
            shards.c.dispatched_at.is_(None), shards.c.dispatched_at <= now - microseconds(WAKEUP_SECONDS)
        )
        due = select(shards.c.id).select_from(waiting).where(claimable(now), forgotten).limit(limit)
        # It holds no analysis, so it must not wait for a shard that somebody who does has locked.
        chosen = conn.execute(due.with_for_update(of=shards, skip_locked=True)).scalars().all()
        conn.execute(update(shards).where(shards.c.id.in_(chosen)).values(dispatched_at=now))
        return len(chosen)


def _running_analyses() -> Select[str]:
    return select(shards.c.analysis_id).where(shards.c.state == ShardState.RUNNING.value).distinct()


def _free(conn: Connection, analysis_id: str, where: ColumnElement[bool], detail: str) -> int:
    """Free the running shards of an analysis that ``where`` chooses; how many."""
    analysis = lock_analysis(conn, analysis_id)
    if analysis is None:
        return 0
    ours = and_(shards.c.analysis_id == analysis_id, shards.c.state == ShardState.RUNNING.value, where)
    doomed = conn.execute(select(shards).where(ours, attempts.losses() >= MAX_LOSSES)).all()
    blamed = sum(count_crash(conn, analysis, shard, detail=f"{detail}, once too often") for shard in doomed)
    return blamed + len(rest(conn, analysis, where, outcome="lost", detail=detail))


def _each(engine: Engine, chosen: Select[str], act: Callable[[Connection, Row[Any]], bool]) -> int:
    """Act on the chosen analyses, each locked in a transaction of its own; how many acts succeeded."""
    with read(engine) as conn:
        ids = conn.execute(chosen).scalars().all()
    count = 0
    for analysis_id in ids:
        with write(engine) as conn:
            analysis = lock_analysis(conn, analysis_id)
            # Another reconciler may have been here between the reading and the lock.
            again = conn.execute(chosen.where(analyses.c.id == analysis_id)).scalar_one_or_none()
            if analysis is not None and again is not None:
                count += act(conn, analysis)
    return count


def _close_round(conn: Connection, analysis: Row[Any]) -> bool:
    close_round(conn, analysis)
    return True


def _expire(conn: Connection, analysis: Row[Any]) -> bool:
    touch_analysis(conn, analysis.id, finish_as=AnalysisStatus.EXPIRED.value)
    events.warn(
        conn, analysis.id, [{"code": "deadline_reached", "detail": "the deadline came before the last round"}]
    )
    settle(conn, analysis.id)
    return True
