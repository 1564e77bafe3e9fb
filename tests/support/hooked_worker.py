"""A worker that comes to grief at one chosen step: ``celery -A hooked_worker worker …``.

``FAULT_HOOK`` names the step, as ``before:claim_next`` or ``after:commit_and_claim``; ``FAULT_NTH`` its
how-manieth time; what happens is ``FAULT_ACTION``: ``kill`` (SIGKILL to itself) or ``gil`` (the interpreter
stands still for ``FAULT_SECONDS``, heartbeat and all).
"""

import ctypes
import os
import signal
from collections.abc import Callable
from typing import Any

from workers.celery_app import app
from workers.supervisor import lease_keeper, settlement, supervisor

__all__ = ["app"]

PLACES = {
    "claim_next": supervisor,
    "run_message": supervisor,
    "run_shard": supervisor,
    "settle": supervisor,
    "renew": lease_keeper,
    "commit_and_claim": settlement,
}


def act() -> None:
    if os.environ["FAULT_ACTION"] == "gil":
        # A foreign function called with the interpreter's lock held: no other thread of this process runs.
        ctypes.PyDLL(None).usleep(int(float(os.environ["FAULT_SECONDS"]) * 1e6))
    else:
        os.kill(os.getpid(), signal.SIGKILL)


def hooked(function: Callable[..., Any], when: str, nth: int) -> Callable[..., Any]:
    calls = 0

    def call(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        this = calls  # a worker has two supervisors, and the other may call meanwhile
        if when == "before" and this == nth:
            act()
        result = function(*arguments, **options)
        if when == "after" and this == nth:
            act()
        return result

    return call


when, _, name = os.environ["FAULT_HOOK"].partition(":")
place = PLACES[name]
setattr(place, name, hooked(getattr(place, name), when, int(os.environ["FAULT_NTH"])))
