"""What the ledger is told of a run that ended."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog
from sqlalchemy import Engine

from ledger import analyses
from ledger.claims import Claimer, release
from ledger.commits import commit_and_claim, commit_finalise, fail_analysis
from ledger.crashes import record_crash
from ledger.database import read
from ledger.errors import DATABASE_AWAY, LedgerError, database_reason
from ledger.quarantine import quarantine
from ledger.recovery import close_rounds
from ledger.shards import Claim
from ledger.states import DRAWING_WORKS, Directive, Work
from workers.errors import AnalysisFault
from workers.host.protocol import ANALYSIS, STORE, Message
from workers.supervisor.lease_keeper import LeaseKeeper
from workers.supervisor.run import Ending, Outcome

LONGEST_BACKOFF: Final = 60.0
"""Seconds before a failed shard is tried again, at most."""

STORE_SECONDS: Final = 1.0
"""Before a shard whose artefact could not be stored is tried again: no fault of it, and the worker looks
whether the store takes anything before it claims again."""

TRIES: Final = 20
RETRY_SECONDS: Final = 0.5
"""Tries to reach the database and the pause between two: with its own timeouts, longer than a lease."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of an outcome.

    Attributes:
        taken: Whether the ledger took it; False if the lease was lost, and somebody else runs the shard.
        next: The shard that was claimed with it, if any.
    """

    taken: bool
    next: Claim | None = None


def settle(
    engine: Engine, claim: Claim, outcome: Outcome, lease: LeaseKeeper, claimer: Claimer | None = None
) -> Settled:
    """Record an outcome, again and again while the database is away and the lease may still hold.

    Args:
        engine: The ledger.
        claim: The lease.
        outcome: How the run ended.
        lease: Keeps the lease.
        claimer: Who goes on with the next shard once this one is done; None for nobody.

    Raises:
        sqlalchemy.exc.OperationalError: if the database stays away.
    """
    for tries_left in reversed(range(TRIES)):
        try:
            settled = _settle_once(engine, claim, outcome, claimer)
            break
        except DATABASE_AWAY as error:
            log.warning("settlement_failed", shard=claim.shard["id"], error=database_reason(error))
            if lease.directive is Directive.LOST:
                return Settled(False)
            if tries_left == 0:
                raise
            time.sleep(RETRY_SECONDS)
    else:  # pragma: no cover - the last try returns or raises
        return Settled(False)
    _tell(claim, outcome, settled.taken)
    # A commit closes the round itself.
    if settled.taken and claim.shard["work"] in DRAWING_WORKS and outcome.ending is not Ending.DONE:
        _close_round(engine, claim)
    return settled


def refuse(engine: Engine, claim: Claim, fault: AnalysisFault) -> bool:
    """Fail the analysis of a claim that no engine need see."""
    reply = {"kind": ANALYSIS, "code": fault.code, "detail": fault.detail, "pointer": fault.pointer}
    return fail_analysis(engine, claim, problem=problem(reply))


def problem(reply: Mapping[str, Any]) -> dict[str, Any]:
    """The problem document (RFC 9457) of an analysis that cannot succeed."""
    found = {
        "type": "about:blank",
        "title": "The analysis cannot be carried out",
        "status": 422,
        "code": reply["code"],
        "detail": reply["detail"],
    }
    if reply.get("pointer") is not None:
        found["errors"] = [{"detail": reply["detail"], "pointer": reply["pointer"]}]
    return found


def _settle_once(engine: Engine, claim: Claim, outcome: Outcome, claimer: Claimer | None) -> Settled:
    match outcome.ending:
        case Ending.DONE:
            return _commit(engine, claim, outcome.reply, claimer)
        case Ending.FAILED:
            return Settled(_fail(engine, claim, outcome.reply))
        case Ending.STOPPED:
            return Settled(release(engine, claim, reason=outcome.detail, penalty=False))
        case Ending.STALLED:
            return Settled(_penalise(engine, claim, "engine_stalled", outcome.detail))
        case Ending.CRASHED:
            return Settled(record_crash(engine, claim, detail=outcome.detail))


def _commit(engine: Engine, claim: Claim, reply: Message, claimer: Claimer | None) -> Settled:
    try:
        if claim.shard["work"] == Work.FINALISE:
            return Settled(_finalise(engine, claim, reply))
        taken, following = commit_and_claim(
            engine,
            claim,
            claimer,
            artefact=reply.get("artefact"),
            usage=reply["usage"],
            next_shards=reply.get("next_shards"),
            phase=reply.get("phase"),
            warnings=reply.get("warnings") or (),
            drawn=reply.get("drawn") or (),
        )
        return Settled(taken, following)
    except (LedgerError, KeyError, TypeError) as error:
        # A fault of ours in the reply: another try would say the same.
        detail = f"the reply could not be recorded: {type(error).__name__}: {error}"
        return Settled(quarantine(engine, claim, error={"code": "internal_error", "detail": detail}))


def _finalise(engine: Engine, claim: Claim, reply: Message) -> bool:
    if _ends_otherwise(engine, claim):
        return release(engine, claim, reason="told to end while finalising", penalty=False)
    return commit_finalise(
        engine,
        claim,
        artifacts=reply["artifacts"],
        usage=reply["usage"],
        warnings=reply.get("warnings") or (),
        verdict=reply.get("verdict"),
    )


def _ends_otherwise(engine: Engine, claim: Claim) -> bool:
    """Whether the analysis was told to end since the claim, so that the finished result would deny it."""
    with read(engine) as conn:
        now = analyses.get(conn, claim.shard["tenant_id"], claim.shard["analysis_id"])
    return now is not None and now.finish_as != claim.analysis["finish_as"]


def _fail(engine: Engine, claim: Claim, reply: Message) -> bool:
    if reply["kind"] == STORE:
        error = {"code": reply["code"], "detail": reply["detail"]}
        return release(
            engine, claim, reason=reply["code"], penalty=False, not_before_seconds=STORE_SECONDS, error=error
        )
    if reply["kind"] == ANALYSIS:
        return fail_analysis(engine, claim, problem=problem(reply), usage=reply.get("usage"))
    if reply["retryable"]:
        return _penalise(engine, claim, reply["code"], reply["detail"])
    return quarantine(engine, claim, error={"code": reply["code"], "detail": reply["detail"]})


def _penalise(engine: Engine, claim: Claim, code: str, detail: str) -> bool:
    backoff = min(LONGEST_BACKOFF, 2.0 ** claim.shard["failures"])
    error = {"code": code, "detail": detail}
    return release(engine, claim, reason=code, penalty=True, not_before_seconds=backoff, error=error)


def _close_round(engine: Engine, claim: Claim) -> None:
    try:
        close_rounds(engine, claim.shard["analysis_id"])
    except Exception as error:
        # The reconciler does it at its next tick; here it only saves that time.
        log.warning("round_not_closed", analysis=claim.shard["analysis_id"], error=database_reason(error))


def _tell(claim: Claim, outcome: Outcome, taken: bool) -> None:
    log.info(
        "shard_ended",
        shard=claim.shard["id"],
        analysis=claim.shard["analysis_id"],
        work=claim.shard["work"],
        epoch=claim.epoch,
        ending=outcome.ending.value,
        code=outcome.reply.get("code"),
        detail=outcome.detail or None,
        taken=taken,
    )
