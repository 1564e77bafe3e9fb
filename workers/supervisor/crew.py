"""The supervisors of a worker: one for its model and, beside it, one for the desk.

At the desk lies what needs no model: planning, judging, estimating. It has an engine host of its own, so the
one with the model draws and scores meanwhile. Each holds a lease of its own on a shard of its own, so
whatever dies is still one shard under one epoch.
"""

import threading
from collections.abc import Callable, Collection

from sqlalchemy import Engine

from ledger.states import MODEL_WORKS, Work
from ledger.workers import WorkerIdentity
from workers.settings import Settings
from workers.supervisor.presence import Presence
from workers.supervisor.supervisor import Supervisor


class Crew:
    """Runs whatever is ready: at most one shard a supervisor.

    Args:
        engine: The ledger.
        identity: Who claims, the same for all.
        settings: How.
        on_retired: Called once when this worker takes itself out of service, for its process to end.
    """

    def __init__(
        self,
        engine: Engine,
        identity: WorkerIdentity,
        settings: Settings,
        on_retired: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_retired = on_retired
        self._rests = threading.Condition()
        self._supervisors = [
            Supervisor(
                engine,
                identity,
                settings,
                works=works,
                rests=self._rests,
                on_retired=self._retire,
                on_settled=self._hand_over,
            )
            for works in parted(settings.works, desk=settings.desk)
        ]
        self._presence = Presence(engine, identity, self._resident)

    def start(self) -> None:
        """Begin to claim."""
        for supervisor in self._supervisors:
            supervisor.start()
        self._presence.start()

    def run_ready(self) -> None:
        """Run shards until one of the supervisors finds none that is ready for it.

        Returns only after its search, begun after the call, found nothing: a worker of which all are busy
        leaves further wake-ups to idle ones.
        """
        for supervisor in self._supervisors:
            supervisor.wake()
        with self._rests:
            self._rests.wait_for(lambda: any(supervisor.resting for supervisor in self._supervisors))

    def drain(self) -> None:
        """Claim nothing more and have running shards stopped; returns at once, so signal handlers may."""
        self._presence.end()
        for supervisor in self._supervisors:
            supervisor.drain()

    def close(self) -> None:
        """Drain, and wait until running shards are given back and the engine hosts have ended."""
        self.drain()
        for supervisor in self._supervisors:
            supervisor.close()
        self._presence.join()

    def _hand_over(self, done: Supervisor) -> None:
        """Wake the others: what one has done may be what they wait for, and the broker takes longer."""
        for supervisor in self._supervisors:
            if supervisor is not done:
                supervisor.wake()

    def _retire(self) -> None:
        self.drain()
        self._on_retired()

    def _resident(self) -> frozenset[str]:
        return frozenset[str]().union(*(supervisor.resident for supervisor in self._supervisors))


def parted(works: Collection[Work], *, desk: bool) -> list[frozenset[Work]]:
    """Works by supervisor.

    Args:
        works: All that the worker claims.
        desk: Whether what needs no model has a supervisor of its own.

    Returns:
        One or two sets, none of them empty.
    """
    claimed = frozenset(works)
    parts = [claimed & MODEL_WORKS, claimed - MODEL_WORKS] if desk else [claimed]
    return [part for part in parts if part]
