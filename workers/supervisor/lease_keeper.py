"""Keeping a lease alive while its shard runs, and learning from the ledger when to stop."""

import threading
import time
from types import TracebackType
from typing import Final

import structlog
from sqlalchemy import Engine

from ledger.claims import renew
from ledger.errors import database_reason
from ledger.shards import Claim
from ledger.states import Directive

GIVE_UP: Final = 0.75
"""Share of a lease without a renewal after which the holder stops itself. It only saves engine time: what
keeps a stale holder from writing is the epoch."""

log = structlog.get_logger(__name__)


class LeaseKeeper:
    """Renews a lease from a thread of its own, as a context manager.

    Args:
        engine: The ledger.
        claim: The lease.
        lease_seconds: Its length.
        renew_seconds: Between two renewals.
    """

    def __init__(self, engine: Engine, claim: Claim, *, lease_seconds: float, renew_seconds: float) -> None:
        self.progress: int | None = None
        self._heard = Directive.CONTINUE
        self._renewed = time.monotonic()
        self._engine = engine
        self._claim = claim
        self._lease_seconds = lease_seconds
        self._renew_seconds = renew_seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease-keeper", daemon=True)

    def __enter__(self) -> "LeaseKeeper":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    @property
    def directive(self) -> Directive:
        """What the ledger last said; ``lost`` also if it has not been heard for most of a lease.

        By the steady clock of the thread that asks: a renewal that hangs cannot delay it.
        """
        if time.monotonic() - self._renewed > GIVE_UP * self._lease_seconds:
            return Directive.LOST
        return self._heard

    def _keep(self) -> None:
        while not self._over.wait(self._renew_seconds):
            began = time.monotonic()
            try:
                directive = renew(
                    self._engine, self._claim, progress=self.progress, lease_seconds=self._lease_seconds
                )
            except Exception as error:
                log.warning("renewal_failed", shard=self._claim.shard["id"], error=database_reason(error))
                continue
            self._renewed, self._heard = began, directive
            if directive is Directive.LOST:
                return
