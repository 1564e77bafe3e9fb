"""The loop that claims shards, has an engine host run them, and records what came of it."""

import os
import shutil
import threading
import time
from typing import Final

import structlog
from sqlalchemy import Engine

from ledger.claims import claim_next, release
from ledger.shards import Claim
from ledger.workers import WorkerIdentity, seen
from workers.errors import AnalysisFault
from workers.logs import frames
from workers.settings import Settings
from workers.supervisor.engine_host import EngineHost, HostDied, host_environment
from workers.supervisor.lease_keeper import LeaseKeeper
from workers.supervisor.run import LOOK_SECONDS, Ending, run_shard
from workers.supervisor.run_message import run_message
from workers.supervisor.settlement import refuse, settle

PRESENCE_SECONDS: Final = 5.0
"""Between two signs of life in the ledger; wake-ups are published for workers seen in the last 30 s."""

log = structlog.get_logger(__name__)


class Supervisor:
    """Runs whatever is ready, one shard at a time, in one thread that lives until `close`.

    One thread, so that at most one shard runs whatever wakes it, and because the kernel ties the
    engine host to the thread that started it.

    Args:
        engine: The ledger.
        identity: Who claims.
        settings: How.
    """

    def __init__(self, engine: Engine, identity: WorkerIdentity, settings: Settings) -> None:
        self._engine = engine
        self._identity = identity
        self._settings = settings
        self._host: EngineHost | None = None
        self._draining = threading.Event()
        self._wanted = threading.Event()
        self._sweeps = threading.Condition()
        self._begun = self._ended = 0
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self._presence = threading.Thread(target=self._be_seen, name="presence", daemon=True)

    def start(self) -> None:
        """Begin to claim."""
        self._thread.start()
        self._presence.start()

    def run_ready(self) -> None:
        """Run shards until none is ready.

        Returns only after a search that began after the call found nothing, so that a busy worker
        leaves further wake-ups to idle ones.
        """
        with self._sweeps:
            wanted = self._begun + 1
            self._wanted.set()
            self._sweeps.wait_for(lambda: self._ended >= wanted or not self._thread.is_alive())

    def drain(self) -> None:
        """Claim nothing more and have the running shard stopped; returns at once, so signal handlers may."""
        self._draining.set()
        self._wanted.set()

    def close(self) -> None:
        """Drain, and wait until the running shard is given back and the engine host has ended."""
        self.drain()
        if self._thread.is_alive():
            self._thread.join()
            self._presence.join()

    def _run(self) -> None:
        try:
            while not self._draining.is_set():
                self._sweep()
                self._wanted.wait(self._settings.poll_seconds)
        finally:
            if self._host is not None:
                self._host.close()
            with self._sweeps:
                self._ended = self._begun + 1
                self._sweeps.notify_all()

    def _sweep(self) -> None:
        with self._sweeps:
            self._wanted.clear()
            self._begun += 1
            number = self._begun
        if self._draining.is_set():
            return
        try:
            while self._run_next():
                pass
        except Exception as error:
            # The database may be away or not yet migrated; the next poll sees.
            log.error("search_failed", traceback=frames(error))
        finally:
            with self._sweeps:
                self._ended = number
                self._sweeps.notify_all()

    def _run_next(self) -> bool:
        """Claim a shard and run it; whether to look for another."""
        if self._draining.is_set() or self._disk_is_full():
            return False
        host = self._ready_host()
        if host is None:
            return False
        claim = claim_next(
            self._engine,
            self._identity,
            works=self._settings.works,
            resident=host.resident,
            lease_seconds=self._settings.lease_seconds,
        )
        if claim is None:
            return False
        self._hold(host, claim)
        return True

    def _hold(self, host: EngineHost, claim: Claim) -> None:
        settings = self._settings
        keeper = LeaseKeeper(
            self._engine, claim, lease_seconds=settings.lease_seconds, renew_seconds=settings.renew_seconds
        )
        with keeper:
            try:
                message = run_message(self._engine, claim)
                outcome = run_shard(
                    host,
                    message,
                    keeper,
                    draining=self._draining.is_set,
                    progress_limit=settings.progress_limit_seconds,
                    abort_grace=settings.abort_grace_seconds,
                )
                if outcome.ending is Ending.CRASHED:
                    log.error("engine_crashed", shard=claim.shard["id"], detail=outcome.detail)
                settle(self._engine, claim, outcome, keeper)
            except AnalysisFault as fault:
                refuse(self._engine, claim, fault)
            except Exception:
                # Nobody knows what the host is doing now.
                host.kill()
                release(self._engine, claim, reason="supervisor_failed", penalty=True)
                raise

    def _ready_host(self) -> EngineHost | None:
        """A host that awaits a shard: the lease of a shard starts after the engine has."""
        if self._host is not None and self._host.usable:
            return self._host
        if self._host is not None:
            self._host.kill()  # what the dead one had started
        settings = self._settings
        host = EngineHost(settings.host_program, host_environment(os.environ, settings.threads))
        self._host = host
        deadline = time.monotonic() + settings.start_limit_seconds
        try:
            while not host.is_ready(LOOK_SECONDS):
                if self._draining.is_set() or time.monotonic() > deadline:
                    host.kill()
                    log.error("host_not_ready", pid=host.pid, draining=self._draining.is_set())
                    return None
        except HostDied as death:
            log.error("host_did_not_start", pid=host.pid, detail=death.detail)
            return None
        log.info("host_ready", pid=host.pid)
        return host

    def _disk_is_full(self) -> bool:
        root = self._settings.artefact_root
        root.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(root).free
        if free >= self._settings.min_free_bytes:
            return False
        log.error("disk_full", free_bytes=free)
        return True

    def _be_seen(self) -> None:
        while True:
            host = self._host
            try:
                seen(self._engine, self._identity, host.resident if host is not None else ())
            except Exception as error:
                log.warning("presence_failed", error=type(error).__name__)
            if self._draining.wait(PRESENCE_SECONDS):
                return
