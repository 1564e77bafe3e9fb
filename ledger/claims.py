"""Taking, keeping and giving back a lease on a shard."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, and_, case, select, update

from ledger import attempts
from ledger.clock import microseconds, now_us
from ledger.database import read, write
from ledger.endings import announce, rest
from ledger.quarantine import give_up
from ledger.queue import deserving, next_shard
from ledger.shards import Claim, held_by
from ledger.states import LIVE_STATUSES, AnalysisStatus, Directive, ShardState, Work
from ledger.tables import analyses, shards
from ledger.transitions import lock_analysis, move_analysis, move_shard
from ledger.workers import WorkerIdentity

MAX_FAILURES: Final = 5
LEASE_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class Claimer:
    """Who wants the next shard.

    Attributes:
        worker: Who claims.
        works: Works it does; None for all.
        resident: Weights digests it has loaded.
        lease_seconds: How long the lease holds without a renewal, by the database's clock.
    """

    worker: WorkerIdentity
    works: Collection[str] | None = None
    resident: Collection[str] = ()
    lease_seconds: float = LEASE_SECONDS

    @property
    def wanted(self) -> list[str]:
        """The works it does, all of them by name."""
        return [str(work) for work in (Work if self.works is None else self.works)]


def claim_next(
    engine: Engine,
    worker: WorkerIdentity,
    *,
    works: Collection[str] | None = None,
    resident: Collection[str] = (),
    lease_seconds: float = LEASE_SECONDS,
) -> Claim | None:
    """Lease the next shard to ``worker``, under a new epoch.

    A shard is claimable when it is READY, its time has come, the samples it depends on are DONE and
    its analysis goes on before its deadline. The first claim sets a queued analysis running. For the
    order see ``ledger.queue``.

    Args:
        engine: The ledger.
        worker: Who claims.
        works: Works the claimer does; None for all.
        resident: Weights digests it has loaded.
        lease_seconds: How long the lease holds without a renewal, by the database's clock.

    Returns:
        The claim, or None if nothing is claimable.
    """
    claimer = Claimer(worker, works, resident, lease_seconds)
    # PostgreSQL: first an analysis that no other claimer is looking at, then wait one's turn.
    for skip_locked in (True, False):
        while True:
            with read(engine) as conn:
                ranked = deserving(conn, now_us(conn), works=claimer.wanted, resident=resident)
            if not ranked:
                return None
            claim = None
            for row in ranked:
                with write(engine) as conn:
                    claim = _claim_from(conn, row.id, claimer, skip_locked=skip_locked)
                if claim is not None:
                    return claim
            if skip_locked:
                break
    return None


def claim_within(conn: Connection, claimer: Claimer) -> Claim | None:
    """As `claim_next`, in a writing transaction that may hold an analysis's lock: never waits for another's.

    Returns:
        The claim; None if nothing is claimable, or somebody else is at whatever is.
    """
    ranked = deserving(conn, now_us(conn), works=claimer.wanted, resident=claimer.resident)
    found = (_claim_from(conn, row.id, claimer, skip_locked=True) for row in ranked)
    return next((claim for claim in found if claim is not None), None)


def renew(
    engine: Engine,
    claim: Claim,
    *,
    progress: int | None = None,
    lease_seconds: float = LEASE_SECONDS,
) -> Directive:
    """Extend a lease and report progress.

    Args:
        engine: The ledger.
        claim: The lease.
        progress: Rows finished so far; None leaves the last report.
        lease_seconds: New length of the lease from now.

    Returns:
        ``lost`` if the shard is no longer held under this epoch (nothing changed), ``abort`` if the
        analysis was told to end and this is not its finalise shard, else ``continue``.
    """
    with write(engine) as conn:
        now = now_us(conn)
        values: dict[str, Any] = {"lease_until": now + microseconds(lease_seconds)}
        if progress is not None:
            moved = case((shards.c.progress != progress, now), else_=shards.c.progress_at)
            values |= {"progress": progress, "progress_at": moved}
        row = conn.execute(
            update(shards)
            .where(held_by(claim), shards.c.state == ShardState.RUNNING.value)
            .values(**values)
            .returning(shards.c.analysis_id, shards.c.work)
        ).one_or_none()
        if row is None:
            return Directive.LOST
        analysis = conn.execute(
            select(analyses.c.status, analyses.c.finish_as).where(analyses.c.id == row.analysis_id)
        ).one()
    told_to_end = analysis.finish_as is not None or analysis.status not in LIVE_STATUSES
    return Directive.ABORT if told_to_end and row.work != Work.FINALISE else Directive.CONTINUE


def release(
    engine: Engine,
    claim: Claim,
    *,
    reason: str,
    penalty: bool,
    not_before_seconds: float = 0.0,
    error: Mapping[str, Any] | None = None,
) -> bool:
    """Give a lease back unfinished: the shard waits again, or ends with its analysis.

    Args:
        engine: The ledger.
        claim: The lease.
        reason: Why, for operators: ``drain``, ``aborted``, an error's code.
        penalty: Whether this counts as a failure of the shard; the fifth quarantines it.
        not_before_seconds: Wait before it may be claimed again.
        error: ``{code, detail}`` kept with the shard.

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
        failures = shard.failures + int(penalty)
        problem = {"code": reason, "detail": reason} if error is None else dict(error)
        if penalty and failures >= MAX_FAILURES:
            return give_up(conn, analysis, shard, error=problem, outcome="failed", failures=failures)
        freed = rest(
            conn,
            analysis,
            held_by(claim),
            outcome="failed" if penalty else "released",
            detail=reason,
            failures=failures,
            not_before=now_us(conn) + microseconds(not_before_seconds),
            error=problem if penalty else shard.error,
        )
        return bool(freed)


def _claim_from(conn: Connection, analysis_id: str, claimer: Claimer, *, skip_locked: bool) -> Claim | None:
    """Take a shard of one analysis; None if another claimer was faster or holds the analysis."""
    analysis = lock_analysis(conn, analysis_id, skip_locked=skip_locked)
    if analysis is None:
        return None
    now = now_us(conn)
    chosen = next_shard(conn, now, analysis, works=claimer.wanted, resident=claimer.resident)
    if chosen is None:
        return None
    taken = move_shard(
        conn,
        and_(shards.c.id == chosen.id, shards.c.epoch == chosen.epoch),
        sources=[ShardState.READY],
        target=ShardState.RUNNING,
        epoch=chosen.epoch + 1,
        owner=claimer.worker.id,
        boot_id=claimer.worker.boot_id,
        lease_until=now + microseconds(claimer.lease_seconds),
        progress=0,
        progress_at=now,
        started_at=now,
    )
    if taken is None:
        return None
    attempts.begin(conn, taken, claimer.worker)
    conn.execute(update(analyses).where(analyses.c.id == analysis_id).values(claimed_at=now))
    if analysis.status == AnalysisStatus.QUEUED:
        first = now if analysis.started_at is None else analysis.started_at
        move_analysis(conn, analysis_id, AnalysisStatus.RUNNING, started_at=first)
        announce(conn, analysis_id)
        analysis = conn.execute(select(analyses).where(analyses.c.id == analysis_id)).one()
    return Claim(shard=taken._asdict(), epoch=taken.epoch, analysis={**analysis._asdict(), "claimed_at": now})
