"""One shard on one engine host, from the message to an ending."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from ledger.states import Directive
from workers.host.protocol import ABORT, ABORTED, DONE, ENDINGS, PROGRESS, Message
from workers.supervisor.engine_host import EngineHost, HostDied
from workers.supervisor.lease_keeper import LeaseKeeper

LOOK_SECONDS: Final = 0.1
"""Between two looks at what the lease keeper heard."""


class Ending(Enum):
    """How a run ended."""

    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"  # because somebody asked, with or without the engine's cooperation
    STALLED = "stalled"  # no sign of progress, so the engine was killed
    CRASHED = "crashed"  # the engine died on its own


@dataclass(frozen=True, slots=True)
class Outcome:
    """The ending of a run.

    Attributes:
        ending: Which.
        reply: What the host said last, for `DONE` and `FAILED`.
        detail: What happened, for operators.
    """

    ending: Ending
    reply: Message = field(default_factory=dict)
    detail: str = ""


def run_shard(
    host: EngineHost,
    message: Message,
    lease: LeaseKeeper,
    *,
    draining: Callable[[], bool],
    progress_limit: float,
    abort_grace: float,
) -> Outcome:
    """Have a host run a shard, and see that it ends.

    Args:
        host: A ready host.
        message: The ``run`` message.
        lease: Keeps the lease, and is told of progress.
        draining: Whether the supervisor is about to leave.
        progress_limit: Seconds without a progress report after which the host is killed.
        abort_grace: Seconds from asking the host to stop until it is killed.
    """
    host.run(message)
    alive_at = time.monotonic()
    asked_at: float | None = None
    while True:
        try:
            event = host.receive(LOOK_SECONDS)
        except HostDied as death:
            # Once it was asked to stop nobody can tell a crash from an untidy end.
            return Outcome(Ending.CRASHED if asked_at is None else Ending.STOPPED, detail=death.detail)
        now = time.monotonic()
        if event is not None and event["event"] in ENDINGS:
            return _ending(event, asked=asked_at is not None)
        if event is not None and event["event"] == PROGRESS:
            lease.progress, alive_at = int(event["completed"]), now
        if asked_at is None and (draining() or lease.directive is not Directive.CONTINUE):
            host.send({"op": ABORT})
            asked_at = now
        if asked_at is not None and now - asked_at > abort_grace:
            host.kill()
            return Outcome(Ending.STOPPED, detail=f"killed {abort_grace:g} s after it was asked to stop")
        if now - alive_at > progress_limit:
            host.kill()
            return Outcome(Ending.STALLED, detail=f"no progress for {progress_limit:g} s")


def _ending(event: Message, *, asked: bool) -> Outcome:
    if event["event"] == ABORTED and asked:
        return Outcome(Ending.STOPPED, event, "stopped between batches")
    if event["event"] == ABORTED:
        # Not for free: an engine that always stops would be tried for ever.
        fault = {
            "kind": "shard",
            "code": "aborted",
            "detail": "the engine stopped unasked",
            "retryable": True,
        }
        return Outcome(Ending.FAILED, fault)
    return Outcome(Ending.DONE if event["event"] == DONE else Ending.FAILED, event)
