"""What may take long and must not delay recovery: hashing models, deleting what outlived its retention."""

import threading
import time

import structlog
from sqlalchemy import Engine

from ledger.outbox import forget
from ledger.retention import collect
from ledger.stores import open_store
from workers.logs import frames
from workers.reconciler.registry import Registry
from workers.settings import Settings

log = structlog.get_logger(__name__)


class Chores:
    """Runs the model scan and the collection from a thread of its own.

    Args:
        engine: The ledger.
        settings: Folders and intervals.
    """

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        self._store = open_store(settings.artefact_store, settings.artefact_root)
        self._registry = Registry(engine, settings.models_root)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chores", daemon=True)

    def start(self) -> None:
        """Begin; the first scan is the first thing done."""
        self._thread.start()

    def stop(self) -> None:
        """Do not begin another chore. One under way dies with the process; each is safe to interrupt."""
        self._stopping.set()

    def _run(self) -> None:
        collect_at = time.monotonic()
        while not self._stopping.is_set():
            self._attempt("scan")
            if time.monotonic() >= collect_at:
                self._attempt("collect")
                self._attempt("forget")
                collect_at = time.monotonic() + self._settings.collect_seconds
            self._stopping.wait(self._settings.scan_seconds)

    def _attempt(self, chore: str) -> None:
        try:
            if chore == "scan":
                self._registry.scan()
            elif chore == "forget":
                if count := forget(self._engine, seconds=self._settings.webhook_log_seconds):
                    log.info("messages_forgotten", count=count)
            elif count := collect(self._engine, self._store):
                log.info("collected", count=count)
        except Exception as error:
            log.error("chore_failed", chore=chore, traceback=frames(error))
