"""How an analysis ends early or late, and where its shards come to rest."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, select

from ledger import attempts, events, outbox
from ledger.clock import microseconds, now_us
from ledger.shards import insert_finalise
from ledger.states import CLOSED_STATES, OPEN_STATES, TERMINAL_STATUSES, AnalysisStatus, ShardState, Work
from ledger.tables import analyses, shards
from ledger.transitions import lock_analysis, move_analysis, move_shards
from ledger.uses import release_users


def finish(conn: Connection, analysis: Row[Any], status: AnalysisStatus, **values: Any) -> bool:
    """Move an analysis to a terminal status, with its last events and the messages to webhooks.

    Args:
        conn: A writing transaction that holds the analysis's lock.
        analysis: Its row.
        status: Terminal status.
        values: Further columns to set.

    Returns:
        Whether it moved: an analysis ends once.
    """
    now = now_us(conn)
    keep = analysis.retention_seconds
    retained_until = None if keep is None else now + microseconds(keep)
    ended = move_analysis(conn, analysis.id, status, finished_at=now, retained_until=retained_until, **values)
    if ended:
        announce(conn, analysis.id)
        outcome = select(analyses.c.status, analyses.c.partial, analyses.c.verdict)
        last = conn.execute(outcome.where(analyses.c.id == analysis.id)).one()
        events.append(conn, analysis.id, "done", last._asdict())
        release_users(conn, analysis.id)
        outbox.tell_end(conn, analysis.id)
    return ended


def fail(conn: Connection, analysis: Row[Any], problem: Mapping[str, Any]) -> bool:
    """End an analysis as failed; what still waits or runs is cancelled, so its holders lose it."""
    stopped = move_shards(
        conn,
        shards.c.analysis_id == analysis.id,
        sources=OPEN_STATES,
        target=ShardState.CANCELLED,
        finished_at=now_us(conn),
    )
    attempts.end(conn, stopped, outcome="cancelled", detail="the analysis failed")
    return finish(conn, analysis, AnalysisStatus.FAILED, error=dict(problem))


def announce(conn: Connection, analysis_id: str) -> None:
    """Append the ``status`` event of the analysis as it now stands."""
    row = conn.execute(select(analyses.c.status, analyses.c.phase).where(analyses.c.id == analysis_id)).one()
    events.append(conn, analysis_id, "status", row._asdict())


def rest(
    conn: Connection,
    analysis: Row[Any],
    where: ColumnElement[bool],
    *,
    outcome: str,
    detail: str,
    **values: Any,
) -> list[str]:
    """Take RUNNING shards from their holders, to wait for another or to end with their analysis.

    Args:
        conn: A writing transaction that holds the analysis's lock.
        analysis: Its row.
        where: Which shards; the epoch where a holder asks.
        outcome: Outcome of the attempts.
        detail: Why, for operators.
        values: Further columns to set.

    Returns:
        Ids of the shards that moved.
    """
    ours = and_(shards.c.analysis_id == analysis.id, where)
    waiting = ours if analysis.finish_as is None else and_(ours, shards.c.work == Work.FINALISE.value)
    values = {"progress": 0, "progress_at": None, "dispatched_at": None, **values}
    running = [ShardState.RUNNING]
    freed = move_shards(conn, waiting, sources=running, target=ShardState.READY, **values)
    if analysis.finish_as is not None:
        freed += move_shards(conn, ours, sources=running, target=_idle_state(analysis), **values)
    attempts.end(conn, freed, outcome=outcome, detail=detail)
    if freed:
        settle(conn, analysis.id)
    return freed


def settle(conn: Connection, analysis_id: str) -> bool:
    """Carry an analysis that was told to end as far as its running shards allow.

    Nothing of it that waits is run any more. Once nothing runs either, a finished pilot round is
    worth a partial result, so a finalise shard is inserted; without one the analysis ends now. So does
    one that was extended: the result it has is whole, where a new one could lack half of its pilot.

    Returns:
        Whether it was moved on. False also for an analysis that nobody told to end.
    """
    analysis = lock_analysis(conn, analysis_id)
    if analysis is None or analysis.finish_as is None or analysis.status in TERMINAL_STATUSES:
        return False
    move_shards(
        conn,
        and_(shards.c.analysis_id == analysis_id, shards.c.work != Work.FINALISE.value),
        sources=[ShardState.READY],
        target=_idle_state(analysis),
        finished_at=now_us(conn),
    )
    if has_open_shards(conn, analysis_id):
        return False
    if analysis.result_revision is None and pilot_is_done(conn, analysis_id):
        insert_finalise(conn, analysis._asdict())
        return True
    return finish(conn, analysis, AnalysisStatus(analysis.finish_as))


def pilot_is_done(conn: Connection, analysis_id: str) -> bool:
    """Whether every shard of round 1 came to its end and at least one brought samples."""
    pilot = and_(shards.c.analysis_id == analysis_id, shards.c.round == 1)
    states = conn.execute(select(shards.c.state, shards.c.work).where(pilot)).all()
    return (ShardState.DONE, Work.SAMPLE) in [tuple(row) for row in states] and all(
        row.state in CLOSED_STATES for row in states
    )


def has_open_shards(conn: Connection, analysis_id: str) -> bool:
    """Whether a shard of the analysis waits or runs."""
    # One is enough: counting would look at thousands, once for each of thousands.
    some = select(shards.c.id).where(
        shards.c.analysis_id == analysis_id, shards.c.state.in_([state.value for state in OPEN_STATES])
    )
    return conn.execute(some.limit(1)).first() is not None


def _idle_state(analysis: Row[Any]) -> ShardState:
    return ShardState.EXPIRED if analysis.finish_as == AnalysisStatus.EXPIRED else ShardState.CANCELLED
