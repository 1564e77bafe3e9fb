"""Recording what a claim produced. Every verb is fenced: a stale epoch changes nothing."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Engine, Row, func, select, update

from ledger import attempts, events
from ledger.claims import Claimer, claim_within
from ledger.clock import now_us
from ledger.database import count_anew, write
from ledger.endings import fail, finish, has_open_shards, settle
from ledger.errors import InvalidRound
from ledger.progress import progress
from ledger.sample_cache import remember
from ledger.shards import Claim, close_round, held_by, insert_round
from ledger.states import LIVE_STATUSES, AnalysisStatus, ShardState, Work
from ledger.tables import shards
from ledger.transitions import lock_analysis, move_shards, touch_analysis

PROGRESS_SECONDS: Final = 0.25
"""Between two progress events of an analysis at least: more often than anybody reads them."""

LARGE_ROUND: Final = 100
"""Shards of a round after which they are counted anew: who takes waiting shards for rare looks at each."""


def commit(
    engine: Engine,
    claim: Claim,
    *,
    artefact: Mapping[str, Any] | None,
    usage: Mapping[str, Any],
    next_shards: Sequence[Mapping[str, Any]] | None = None,
    phase: str | None = None,
    warnings: Sequence[Mapping[str, Any]] = (),
    drawn: Sequence[tuple[str, int, int]] = (),
) -> bool:
    """Make a shard DONE and, for a plan shard, open the next round in the same transaction.

    If the analysis was told to end meanwhile, what was drawn is kept but no round opens; a plan that
    only finalises still does.

    Args:
        engine: The ledger.
        claim: The lease.
        artefact: ``{key, sha256, n_rows}`` of the stored file; None for a plan shard.
        usage: ``{samples, sampled_tokens, scored_tokens, cached_samples, engine_seconds}``, any of them.
        next_shards: For a plan shard, the shards of the next round (see ``ledger.shards.insert_round``).
        phase: New phase of the analysis; None leaves it.
        warnings: ``{code, detail}`` to keep with the analysis.
        drawn: For a sample shard, what it drew, for `ledger.sample_cache.remember`.

    Returns:
        False if the lease was lost: nothing changed.

    Raises:
        InvalidRound: if a plan shard brings no next round, another shard one, or the round is not
            valid. Nothing changed.
    """
    told = _Reply(artefact, usage, next_shards, phase, warnings, drawn)
    with write(engine) as conn:
        taken = _commit(conn, claim, told) is not None
    told.count_large_round(engine)
    return taken


def commit_and_claim(
    engine: Engine,
    claim: Claim,
    claimer: Claimer | None,
    *,
    artefact: Mapping[str, Any] | None,
    usage: Mapping[str, Any],
    next_shards: Sequence[Mapping[str, Any]] | None = None,
    phase: str | None = None,
    warnings: Sequence[Mapping[str, Any]] = (),
    drawn: Sequence[tuple[str, int, int]] = (),
) -> tuple[bool, Claim | None]:
    """`commit`, and in its transaction what follows: one flush to disk in place of up to three.

    A round that has ended is closed, and the next shard leased. Should the answer be lost, the shard is DONE,
    and the next one waits until its lease runs out.

    Args:
        engine: The ledger.
        claim: The lease.
        claimer: Who wants the next shard; None for nobody.
        artefact: This and the rest as in `commit`.
        usage: What it cost.
        next_shards: The next round.
        phase: The new phase.
        warnings: To keep with the analysis.
        drawn: What was drawn.

    Returns:
        What `commit` returns, and the next claim: None without a claimer, if nothing was claimable at once,
        or if the lease was lost.

    Raises:
        InvalidRound: As `commit`. Nothing changed.
    """
    told = _Reply(artefact, usage, next_shards, phase, warnings, drawn)
    with write(engine) as conn:
        analysis = _commit(conn, claim, told)
        if analysis is None:
            return False, None
        if analysis.finish_as is None and not has_open_shards(conn, analysis.id):
            close_round(conn, analysis)
        following = None if claimer is None else claim_within(conn, claimer)
    told.count_large_round(engine)
    return True, following


def commit_finalise(
    engine: Engine,
    claim: Claim,
    *,
    artifacts: Mapping[str, Mapping[str, Any]],
    usage: Mapping[str, Any],
    warnings: Sequence[Mapping[str, Any]] = (),
    verdict: str | None = None,
) -> bool:
    """End an analysis with its result: succeeded, or as it was told to end.

    It is partial if it was told to end early or a shard is quarantined.

    Args:
        engine: The ledger.
        claim: The lease on its finalise shard.
        artifacts: Name to ``{key, sha256, bytes, media_type}``.
        usage: As in `commit`.
        warnings: ``{code, detail}`` to keep with the analysis.
        verdict: Label of the verdict, for lists.

    Returns:
        False if the lease was lost: nothing changed.
    """
    if claim.shard["work"] != Work.FINALISE:
        raise InvalidRound(f"a {claim.shard['work']} shard does not end an analysis")
    with write(engine) as conn:
        analysis = _close(conn, claim, usage, artefact=None)
        if analysis is None:
            return False
        events.warn(conn, analysis.id, warnings)
        return finish(
            conn,
            analysis,
            AnalysisStatus(analysis.finish_as or AnalysisStatus.SUCCEEDED),
            partial=analysis.finish_as is not None or _lacks_items(conn, analysis.id),
            result_revision=analysis.revision,
            artifacts={name: dict(stored) for name, stored in artifacts.items()},
            verdict=verdict,
        )


def fail_analysis(
    engine: Engine, claim: Claim, *, problem: Mapping[str, Any], usage: Mapping[str, Any] | None = None
) -> bool:
    """End an analysis as failed because of this shard; its other shards are cancelled.

    Args:
        engine: The ledger.
        claim: The lease.
        problem: RFC 9457 problem with at least ``code`` and ``detail``.
        usage: What the shard cost, as in `commit`.

    Returns:
        False if the lease was lost: nothing changed.
    """
    with write(engine) as conn:
        analysis = lock_analysis(conn, claim.shard["analysis_id"])
        if analysis is None:
            return False
        failed = move_shards(
            conn,
            held_by(claim),
            sources=[ShardState.RUNNING],
            target=ShardState.QUARANTINED,
            error=dict(problem),
            usage=None if usage is None else dict(usage),
            finished_at=now_us(conn),
        )
        if not failed:
            return False
        attempts.end(conn, failed, outcome="failed", detail=str(problem["detail"]))
        return fail(conn, analysis, problem)


class _Reply(NamedTuple):
    """What a claim produced; see `commit`."""

    artefact: Mapping[str, Any] | None
    usage: Mapping[str, Any]
    next_shards: Sequence[Mapping[str, Any]] | None
    phase: str | None
    warnings: Sequence[Mapping[str, Any]]
    drawn: Sequence[tuple[str, int, int]]

    def count_large_round(self, engine: Engine) -> None:
        if len(self.next_shards or ()) >= LARGE_ROUND:
            count_anew(engine, shards.name)


def _commit(conn: Connection, claim: Claim, told: _Reply) -> Row[Any] | None:
    """Make a shard DONE; its analysis, locked, or None if the lease was lost."""
    work = claim.shard["work"]
    if work == Work.FINALISE:
        raise InvalidRound("a finalise shard is committed with commit_finalise")
    if (work == Work.PLAN) != bool(told.next_shards):
        raise InvalidRound(f"a {work} shard {'needs a' if work == Work.PLAN else 'has no'} next round")
    analysis = _close(conn, claim, told.usage, told.artefact)
    if analysis is None:
        return None
    remember(conn, claim.shard, told.drawn)
    touch_analysis(conn, analysis.id, **({} if told.phase is None else {"phase": told.phase}))
    events.warn(conn, analysis.id, told.warnings)
    if told.next_shards:
        _open_round(conn, analysis, claim.shard["round"] + 1, told.next_shards)
    else:
        _report_progress(conn, analysis.id)
    if analysis.finish_as is not None:
        settle(conn, analysis.id)
    return analysis


def _close(
    conn: Connection, claim: Claim, usage: Mapping[str, Any], artefact: Mapping[str, Any] | None
) -> Row[Any] | None:
    """Move the claimed shard to DONE; its analysis, locked, or None if the lease was lost."""
    analysis = lock_analysis(conn, claim.shard["analysis_id"])
    if analysis is None or analysis.status not in LIVE_STATUSES:
        return None
    stored, now = artefact or {}, now_us(conn)
    closed = move_shards(
        conn,
        held_by(claim),
        sources=[ShardState.RUNNING],
        target=ShardState.DONE,
        artefact_key=stored.get("key"),
        artefact_sha256=stored.get("sha256"),
        n_rows=stored.get("n_rows"),
        usage=dict(usage),
        finished_at=now,
    )
    if not closed:
        return None
    attempts.end(conn, closed, outcome="done", engine_seconds=usage.get("engine_seconds"), at=now)
    if claim.shard["work"] == Work.SAMPLE:
        conn.execute(update(shards).where(shards.c.depends_on == claim.shard["id"]).values(blocked=False))
    return analysis


def _report_progress(conn: Connection, analysis_id: str) -> None:
    # Counting costs a look at every shard of the analysis: not for each of thousands that end in a second.
    if events.is_recent(conn, analysis_id, "progress", seconds=PROGRESS_SECONDS):
        return
    now = progress(conn, analysis_id)
    body = {"phase": now.phase, "completed": now.completed, "total": now.total}
    events.append(conn, analysis_id, "progress", body)


def _open_round(
    conn: Connection, analysis: Row[Any], number: int, planned: Sequence[Mapping[str, Any]]
) -> None:
    finalises = any(shard["work"] == Work.FINALISE for shard in planned)
    if analysis.finish_as is not None and not finalises:
        return
    insert_round(conn, analysis._asdict(), number, planned)
    rows = select(func.sum(shards.c.planned_rows)).where(
        shards.c.analysis_id == analysis.id, shards.c.round == number
    )
    planned_rows = int(conn.execute(rows).scalar_one())
    body = {"round": number, "shards": len(planned), "planned_rows": planned_rows}
    events.append(conn, analysis.id, "round", body)


def _lacks_items(conn: Connection, analysis_id: str) -> bool:
    given_up = select(func.count()).where(
        shards.c.analysis_id == analysis_id, shards.c.state == ShardState.QUARANTINED.value
    )
    return conn.execute(given_up).scalar_one() > 0
