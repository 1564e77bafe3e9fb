"""One tick of recovery: each step idempotent, each on its own, so that one that fails holds up no other."""

from collections.abc import Callable

import structlog
from sqlalchemy import Engine

from ledger.clock_marks import follow_clock
from ledger.recovery import close_rounds, enforce_deadlines, expire_leases, settle_cancelled
from workers.logs import frames
from workers.reconciler.clock_guard import ClockGuard

log = structlog.get_logger(__name__)


class Recovery:
    """The steps that run at every tick, in order.

    Args:
        engine: The ledger.
        clock: Watches the host's clock; matters to SQLite alone, where it is also the database's.
    """

    def __init__(self, engine: Engine, clock: ClockGuard) -> None:
        self._engine = engine
        self._clock = clock
        self._steps: list[tuple[str, Callable[[Engine], int]]] = [
            ("leases_expired", expire_leases),
            ("deadlines_enforced", enforce_deadlines),
            ("cancellations_settled", settle_cancelled),
            ("rounds_closed", close_rounds),
        ]
        if engine.dialect.name == "sqlite":
            # First: a clock put forward would otherwise expire every lease at once.
            self._steps.insert(0, ("microseconds_followed", self._follow_clock))

    def tick(self) -> None:
        """Run every step once."""
        for name, step in self._steps:
            try:
                count = step(self._engine)
            except Exception as error:
                log.error("step_failed", step=name, traceback=frames(error))
                continue
            if count:
                log.info(name, count=count)

    def _follow_clock(self, engine: Engine) -> int:
        jump = follow_clock(engine, boot=self._clock.boot, offset_us=self._clock.offset_us())
        if jump:
            log.warning("clock_jumped", seconds=jump / 1_000_000)
        return abs(jump)
