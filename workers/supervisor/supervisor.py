"""The loop that claims shards, has an engine host run them, and records what came of it."""

import os
import threading
import time
from collections.abc import Callable, Collection
from typing import Final

import structlog
from sqlalchemy import Engine

from ledger.claims import Claimer, claim_next, release
from ledger.errors import DATABASE_AWAY, StoreUnavailable
from ledger.shards import Claim
from ledger.states import Work
from ledger.stores import open_store
from ledger.workers import WorkerIdentity, retire
from workers.errors import AnalysisFault
from workers.host.protocol import ANALYSIS, STORE
from workers.logs import frames
from workers.settings import Settings
from workers.supervisor.engine_host import EngineHost, HostDied, host_environment
from workers.supervisor.fitness import Fitness
from workers.supervisor.lease_keeper import LeaseKeeper
from workers.supervisor.requests import Requests
from workers.supervisor.run import LOOK_SECONDS, Ending, Outcome, run_shard
from workers.supervisor.run_message import run_message
from workers.supervisor.settlement import refuse, settle

STORE_SECONDS: Final = 5.0
"""Between two looks at whether the artefact store takes anything, while it does."""

log = structlog.get_logger(__name__)


class Supervisor:
    """Runs whatever is ready, one shard at a time, in one thread that lives until `close`.

    One thread, so that at most one shard runs whatever wakes it, and because the kernel ties the
    engine host to the thread that started it.

    Args:
        engine: The ledger.
        identity: Who claims.
        settings: How.
        works: Works it claims.
        rests: Notified whenever `resting` may have become true.
        on_retired: Called once when this worker takes itself out of service, for its process to end.
        on_settled: Called with this supervisor when a shard of its is over: others may be ready now.
    """

    def __init__(
        self,
        engine: Engine,
        identity: WorkerIdentity,
        settings: Settings,
        *,
        works: Collection[Work],
        rests: threading.Condition,
        on_retired: Callable[[], None],
        on_settled: Callable[["Supervisor"], None],
    ) -> None:
        self._engine = engine
        self._identity = identity
        self._settings = settings
        self._works = frozenset(works)
        self._on_retired = on_retired
        self._on_settled = on_settled
        self._host: EngineHost | None = None
        self._requests = Requests(engine)
        self._fitness = Fitness()
        self._store = open_store(settings.artefact_store, settings.artefact_root)
        self._store_checked_at: float | None = None
        self._draining = threading.Event()
        self._left = threading.Event()
        self._wanted = threading.Event()
        self._rests = rests
        self._searching = False
        self._thread = threading.Thread(target=self._run, name=f"supervisor-{min(works)}", daemon=True)

    def start(self) -> None:
        """Begin to claim."""
        self._thread.start()

    @property
    def resident(self) -> frozenset[str]:
        """Weights digests that its engine host has loaded."""
        host = self._host
        return frozenset() if host is None else host.resident

    @property
    def resting(self) -> bool:
        """Whether its last search began after the last call to `wake` and found nothing, or it has left."""
        searching = self._searching or self._wanted.is_set()
        return self._left.is_set() or not self._thread.is_alive() or not searching

    def wake(self) -> None:
        """Have it look for shards; returns at once."""
        self._wanted.set()

    def drain(self) -> None:
        """Claim nothing more and have the running shard stopped; returns at once, so signal handlers may."""
        self._draining.set()
        self._wanted.set()

    def close(self) -> None:
        """Drain, and wait until the running shard is given back and the engine host has ended."""
        self.drain()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._draining.is_set():
                self._sweep()
                self._wanted.wait(self._settings.poll_seconds)
        finally:
            if self._host is not None:
                self._host.close()
            self._left.set()
            with self._rests:
                self._rests.notify_all()

    def _sweep(self) -> None:
        self._searching = True  # before the wish is taken back: in between it would seem to rest
        self._wanted.clear()
        try:
            while self._run_next():
                pass
        except Exception as error:
            # The database may be away or not yet migrated; the next poll sees.
            log.error("search_failed", traceback=frames(error))
        finally:
            with self._rests:
                self._searching = False
                self._rests.notify_all()

    def _run_next(self) -> bool:
        """Claim a shard and run it, and whatever was claimed with its end; whether to look for another."""
        if self._draining.is_set() or not self._store_is_ready():
            return False
        host = self._ready_host()
        if host is None:
            self._retire_if_unfit()
            return False
        claimer = self._claimer(host)
        claim = claim_next(
            self._engine,
            claimer.worker,
            works=claimer.works,
            resident=claimer.resident,
            lease_seconds=claimer.lease_seconds,
        )
        if claim is None:
            return False
        while claim is not None:
            claim = self._hold(host, claim)
        self._retire_if_unfit()
        return True

    def _claimer(self, host: EngineHost) -> Claimer:
        settings = self._settings
        return Claimer(self._identity, self._works, host.resident, settings.lease_seconds)

    def _next_claimer(self, host: EngineHost) -> Claimer | None:
        """Who goes on with the next shard; nobody if anything has to be looked at first."""
        goes_on = not self._draining.is_set() and self._fitness.why_unfit is None and host.usable
        return self._claimer(host) if goes_on and self._store_was_ready() else None

    def _hold(self, host: EngineHost, claim: Claim) -> Claim | None:
        """Run a shard to its end; the next one, if it was claimed in the same transaction."""
        settings = self._settings
        keeper = LeaseKeeper(
            self._engine, claim, lease_seconds=settings.lease_seconds, renew_seconds=settings.renew_seconds
        )
        with keeper:
            try:
                request = self._requests.of(claim)
                message = run_message(self._engine, claim, request, use_cache=settings.sample_cache)
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
                self._take_note(claim, outcome)
                following = settle(self._engine, claim, outcome, keeper, self._next_claimer(host)).next
                self._on_settled(self)
                return following
            except AnalysisFault as fault:
                refuse(self._engine, claim, fault)
                return None
            except DATABASE_AWAY:
                # No fault of the shard: if it cannot be given back either, its lease runs out.
                host.kill()
                release(self._engine, claim, reason="database_away", penalty=False)
                raise
            except Exception:
                # Nobody knows what the host is doing now.
                host.kill()
                release(self._engine, claim, reason="supervisor_failed", penalty=True)
                raise

    def _take_note(self, claim: Claim, outcome: Outcome) -> None:
        kind = outcome.reply.get("kind")
        if kind == STORE:
            self._store_checked_at = None
        self._fitness.shard_ended(
            claim.shard["id"], outcome.ending, blames_shard=kind not in (ANALYSIS, STORE)
        )

    def _retire_if_unfit(self) -> None:
        """Leave for good rather than spoil one shard after the other; what runs elsewhere goes on."""
        why = self._fitness.why_unfit
        if why is None or self._draining.is_set():
            return
        log.error("worker_retires", why=why, works=sorted(self._works))
        self.drain()
        try:
            retire(self._engine, self._identity, why)
        finally:
            self._on_retired()

    def _ready_host(self) -> EngineHost | None:
        """A host that awaits a shard: the lease of a shard starts after the engine has."""
        if self._host is not None and self._host.usable:
            return self._host
        if self._host is not None:
            self._host.kill()  # what the dead one had started
        settings = self._settings
        environment = host_environment(os.environ, settings.threads, settings.gpu, self._works)
        host = EngineHost(settings.host_program, environment)
        self._host = host
        deadline = time.monotonic() + settings.start_limit_seconds
        try:
            while not host.is_ready(LOOK_SECONDS):
                if self._draining.is_set() or time.monotonic() > deadline:
                    host.kill()
                    log.error("host_not_ready", pid=host.pid, draining=self._draining.is_set())
                    self._fitness.engine_started(ready=False)
                    return None
        except HostDied as death:
            log.error("host_did_not_start", pid=host.pid, detail=death.detail)
            self._fitness.engine_started(ready=False)
            return None
        self._fitness.engine_started(ready=True)
        log.info("host_ready", pid=host.pid)
        return host

    def _store_is_ready(self) -> bool:
        """Whether an artefact could be stored: work that cannot be kept is not begun."""
        now = time.monotonic()
        if self._store_was_ready():
            return True
        try:
            self._store.check_writable(self._settings.min_free_bytes)
        except StoreUnavailable as error:
            log.error("store_unavailable", detail=str(error))
            self._store_checked_at = None
            return False
        self._store_checked_at = now
        return True

    def _store_was_ready(self) -> bool:
        checked = self._store_checked_at
        return checked is not None and time.monotonic() - checked < STORE_SECONDS
