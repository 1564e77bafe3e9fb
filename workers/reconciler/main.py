"""The reconciler: a small process of its own, so that recovery does not travel through what broke.

Several may run: every step is idempotent. Started by ``python -m workers.reconciler.main``.
"""

import signal
import threading
from types import FrameType

import structlog

from ledger.database import connect
from workers.logs import configure_logs
from workers.reconciler.chores import Chores
from workers.reconciler.clock_guard import ClockGuard
from workers.reconciler.recovery import Recovery
from workers.reconciler.wakeups import Wakeups
from workers.reconciler.webhooks import Webhooks
from workers.settings import Settings

log = structlog.get_logger(__name__)


def main() -> None:
    """Tick until SIGTERM or SIGINT."""
    configure_logs()
    stopping = threading.Event()

    def stop(signum: int, frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    settings = Settings()
    engine = connect(settings.ledger_url)
    recovery = Recovery(engine, ClockGuard())
    wakeups, chores, webhooks = (
        Wakeups(engine, settings),
        Chores(engine, settings),
        Webhooks(engine, settings),
    )
    for part in (wakeups, chores, webhooks):
        part.start()
    log.info("reconciler_started", tick_seconds=settings.tick_seconds)
    while not stopping.wait(settings.tick_seconds):
        recovery.tick()
        wakeups.tick()
    for part in (chores, webhooks, wakeups):
        part.stop()
    engine.dispose()
    log.info("reconciler_stopped")


if __name__ == "__main__":
    main()
