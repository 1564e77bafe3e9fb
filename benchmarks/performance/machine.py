"""The machine that a figure was measured on, and who else used it meanwhile."""

import contextlib
import ctypes
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil


def describe() -> dict[str, Any]:
    """Processor, memory, threads and the versions that decide speed."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "threads": os.environ.get("OMP_NUM_THREADS", "unset"),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "system": platform.system(),
        **({"gpu": gpu} if (gpu := _gpu()) else {}),
        **{name: _version(name) for name in ("torch", "transformers", "numpy", "pyarrow")},
    }


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds so far: of the whole machine, and of this process with all its children."""

    at: float
    busy: float
    stolen: float
    own: float

    @classmethod
    def now(cls) -> "Usage":
        """Read the clocks."""
        ticks = psutil.cpu_times()
        stolen = float(getattr(ticks, "steal", 0.0))
        busy = ticks.user + ticks.nice + ticks.system + stolen
        busy += getattr(ticks, "irq", 0.0) + getattr(ticks, "softirq", 0.0)
        return cls(time.monotonic(), busy, stolen, _own_seconds())

    def since(self, before: "Usage") -> "Spent":
        """What was used between two readings."""
        wall = max(self.at - before.at, 1e-9)
        own = self.own - before.own
        capacity = wall * (os.cpu_count() or 1)
        foreign = max(0.0, self.busy - before.busy - own) / capacity
        return Spent(wall, own, foreign, (self.stolen - before.stolen) / capacity)


@dataclass(frozen=True, slots=True)
class Spent:
    """What a block used.

    Attributes:
        wall: Seconds.
        own: CPU seconds of this process and its children.
        foreign: Share of the machine's CPU time that others took, the hypervisor included.
        stolen: The hypervisor's part of that.
    """

    wall: float
    own: float
    foreign: float
    stolen: float


def _own_seconds() -> float:
    """CPU seconds of this process, of the children it has waited for, and of all that live."""
    mine = psutil.Process()
    total = 0.0
    for process in (mine, *mine.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:  # its parent has its time now, at the latest when it waits for it
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def peak_memory(work: Callable[[], object]) -> int:
    """Bytes by which the resident set of this process rises above its size before, at most, during a call.

    Args:
        work: Called without arguments.

    Raises:
        OSError: Not on Linux.
    """
    # What was freed and is still held would hide as much of what is allotted now.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    status = Path("/proc/self/status")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew at the present size
    before = _kib(status, "VmRSS")
    work()
    return 1024 * (_kib(status, "VmHWM") - before)


def _kib(status: Path, name: str) -> int:
    line = next(line for line in status.read_text().splitlines() if line.startswith(name + ":"))
    return int(line.split()[1])


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def _gpu() -> str:
    try:
        import torch
    except ImportError:
        return ""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else ""


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
