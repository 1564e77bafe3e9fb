"""Where the wall clock stands beside the steady one: a change of that is a jump."""

import time
import uuid
from collections.abc import Callable
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class ClockGuard:
    """Compares the wall clock with the monotonic one.

    Attributes:
        boot: Names the machine's start, which its steady clock counts from; elsewhere than on Linux this
            process's own.

    Args:
        wall: Seconds by the clock that can be set.
        steady: Seconds by the clock that cannot.
    """

    def __init__(
        self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self.boot = _BOOT_ID.read_text().strip() if _BOOT_ID.is_file() else uuid.uuid4().hex
        self._wall = wall
        self._steady = steady

    def offset_us(self) -> int:
        """Wall clock minus steady clock, in microseconds."""
        return round((self._wall() - self._steady()) * 1_000_000)
