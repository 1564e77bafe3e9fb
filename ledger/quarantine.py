"""Giving up on a shard without giving up on its analysis."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Row, and_, select

from ledger import attempts, events
from ledger.clock import now_us
from ledger.database import write
from ledger.datasets import prompt_ids
from ledger.endings import fail, settle
from ledger.shards import Claim, held_by
from ledger.states import DRAWING_WORKS, ShardState
from ledger.tables import shards
from ledger.transitions import lock_analysis, move_shards, touch_analysis


def quarantine(engine: Engine, claim: Claim, *, error: Mapping[str, Any]) -> bool:
    """Give up on a shard whose failure another try cannot mend.

    Args:
        engine: The ledger.
        claim: The lease.
        error: ``{code, detail}``.

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
        return give_up(conn, analysis, shard, error=error, outcome="failed")


def give_up(
    conn: Connection,
    analysis: Row[Any],
    shard: Row[Any],
    *,
    error: Mapping[str, Any],
    outcome: str,
    **values: Any,
) -> bool:
    """Quarantine a running shard and those that wait for its samples; list its prompts as errors.

    An analysis cannot go on without a plan or a result, so for those works it fails.

    Args:
        conn: A writing transaction that holds the analysis's lock.
        analysis: Its row.
        shard: The RUNNING shard's row, read in this transaction.
        error: ``{code, detail}``.
        outcome: Outcome of the attempt: ``failed`` or ``crashed``.
        values: Further columns of the shard to set.

    Returns:
        Whether the shard was still running at the row's epoch.
    """
    problem = {"code": error["code"], "detail": error["detail"]}
    now = now_us(conn)
    given_up = move_shards(
        conn,
        and_(shards.c.id == shard.id, shards.c.epoch == shard.epoch),
        sources=[ShardState.RUNNING],
        target=ShardState.QUARANTINED,
        error=problem,
        finished_at=now,
        **values,
    )
    if not given_up:
        return False
    attempts.end(conn, given_up, outcome=outcome, detail=problem["detail"])
    if shard.work not in DRAWING_WORKS:
        return fail(conn, analysis, _problem(shard.work, problem))
    move_shards(
        conn,
        shards.c.depends_on == shard.id,
        sources=[ShardState.READY],
        target=ShardState.QUARANTINED,
        error={"code": "samples_missing", "detail": f"sample shard {shard.id} was given up"},
        finished_at=now,
    )
    _list_errors(conn, analysis, shard.items, problem)
    settle(conn, analysis.id)
    return True


def _list_errors(
    conn: Connection, analysis: Row[Any], items: Sequence[Sequence[int]], problem: Mapping[str, Any]
) -> None:
    known = prompt_ids(conn, analysis)
    listed = list(analysis.errors)
    for index in dict.fromkeys(item[0] for item in items):
        entry = {"prompt_id": known[index] if index < len(known) else str(index), **problem}
        if entry not in listed:
            listed.append(entry)
    touch_analysis(conn, analysis.id, errors=listed)
    events.append(conn, analysis.id, "warning", problem)


def _problem(work: str, error: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "about:blank",
        "title": f"The {work} step failed",
        "status": 500,
        "code": error["code"],
        "detail": error["detail"],
    }
