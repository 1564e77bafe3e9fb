"""Noticing that the wall clock jumped: leases in SQLite are told by it."""

import time
from collections.abc import Callable
from typing import Final

SMALLEST_JUMP: Final = 1.0
"""Seconds. Smaller ones are slewing and scheduling, and a lease has room for them."""


class ClockGuard:
    """Compares the wall clock with the monotonic one.

    Args:
        wall: Seconds by the clock that can be set.
        steady: Seconds by the clock that cannot.
    """

    def __init__(
        self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._offset = self._now()

    def jump_us(self) -> int:
        """Microseconds by which the wall clock jumped since the last call; 0 if it went on as it should."""
        offset = self._now()
        jump, self._offset = offset - self._offset, offset
        return round(jump * 1_000_000) if abs(jump) >= SMALLEST_JUMP else 0

    def _now(self) -> float:
        return self._wall() - self._steady()
