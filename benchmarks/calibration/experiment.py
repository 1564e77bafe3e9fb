"""An experiment: cells of settings, and one seeded replicate of each."""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from workers.estimators.estimate import Estimate

Size = Literal["quick", "full", "large"]
Row = dict[str, Any]
Settings = Mapping[str, Any]
Interval = list[float | None]
"""Whether it held the truth, its width, the fixed-n optimum of that, and whether the report grades it ok."""
Replicate = Callable[[np.random.Generator, Settings], Row]

LARGE = 4
SEED = 20260508
"""Of the whole study; every replicate has a stream of its own below it."""


@dataclass(frozen=True)
class Experiment:
    """Replicates of several cells.

    Attributes:
        name: File name of its results.
        title: What it is about.
        cells: Settings by cell name; ``replicates`` among them overrides `full`.
        replicate: One replicate: numbers and intervals by name.
        full: Replicates of each cell in a full study; a large one has four times as many.
        quick: In a quick one.
        chunk: Replicates between two writes to disk.
        optima: Fixed-n optimum of the widths in a cell, where it is the same for all its replicates.
    """

    name: str
    title: str
    cells: Mapping[str, Settings]
    replicate: Replicate
    full: int
    quick: int
    chunk: int = 100
    optima: Callable[[Settings], Mapping[str, float]] | None = None

    def size(self, size: Size, cell: str) -> int:
        """Replicates of a cell."""
        if size == "quick":
            return self.quick
        full = int(self.cells[cell].get("replicates", self.full))
        return full * (LARGE if size == "large" else 1)

    def run(self, cell: str, first: int, count: int) -> list[Row]:
        """Some replicates of a cell; each depends on its own number alone."""
        key = zlib.crc32(f"{self.name}/{cell}".encode())
        streams = (np.random.SeedSequence(SEED, spawn_key=(key, i)) for i in range(first, first + count))
        return [self.replicate(np.random.default_rng(stream), self.cells[cell]) for stream in streams]


def interval(estimate: Estimate, truth: float, *, least_width: float | None = None) -> Interval:
    """How an interval did; all None if there is none.

    An end that is None is infinite. The optimum is the normal interval with the true variance at the same n.
    """
    if estimate.ci_low is None and estimate.ci_high is None:
        return [None, None, None, None]
    low = -np.inf if estimate.ci_low is None else estimate.ci_low
    high = np.inf if estimate.ci_high is None else estimate.ci_high
    good = float(estimate.status in {"ok", "censored"})
    slack = 1e-9 * max(1.0, abs(truth))
    held = float(low - slack <= truth <= high + slack)
    return [held, float(high - low) if np.isfinite(high - low) else None, least_width, good]
