"""Telling the ledger that a worker lives, and which models it has loaded."""

import threading
from collections.abc import Callable, Collection
from typing import Final

import structlog
from sqlalchemy import Engine

from ledger.errors import database_reason
from ledger.workers import WorkerIdentity, seen

PRESENCE_SECONDS: Final = 5.0
"""Between two signs of life in the ledger; wake-ups are published for workers seen in the last 30 s."""

log = structlog.get_logger(__name__)


class Presence:
    """Gives signs of life from a thread of its own, which a long shard cannot delay.

    Args:
        engine: The ledger.
        identity: Who lives.
        resident: Weights digests that the worker has loaded now.
    """

    def __init__(
        self, engine: Engine, identity: WorkerIdentity, resident: Callable[[], Collection[str]]
    ) -> None:
        self._engine = engine
        self._identity = identity
        self._resident = resident
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._be_seen, name="presence", daemon=True)

    def start(self) -> None:
        """Give the first one."""
        self._thread.start()

    def end(self) -> None:
        """Give no more; returns at once, so signal handlers may."""
        self._over.set()

    def join(self) -> None:
        """Return once the last one is given."""
        if self._thread.is_alive():
            self._thread.join()

    def _be_seen(self) -> None:
        while True:
            try:
                seen(self._engine, self._identity, self._resident())
            except Exception as error:
                log.warning("presence_failed", error=database_reason(error))
            if self._over.wait(PRESENCE_SECONDS):
                return
