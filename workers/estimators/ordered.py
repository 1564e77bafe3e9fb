"""Values in ascending order, with what several intervals ask of them computed once."""

import math
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from workers.estimators.bootstrap_weights import BootstrapWeights

Floats = NDArray[np.float64]


class Ordered:
    """Independent values, sorted, and their moments; nothing depends on the order they came in.

    Args:
        values: Shape ``(n,)``.

    Attributes:
        x: The values in ascending order. Shape ``(n,)``.
    """

    def __init__(self, values: Floats) -> None:
        self.x: Floats = np.sort(np.asarray(values, dtype=np.float64))
        self._weighted: tuple[BootstrapWeights, tuple[Floats, Floats]] | None = None

    @property
    def size(self) -> int:
        """Number of values, n."""
        return self.x.size

    @cached_property
    def is_finite(self) -> bool:
        """Whether every value is."""
        return bool(np.isfinite(self.x).all())

    @cached_property
    def above_least(self) -> Floats:
        """What each value exceeds the smallest by: exactly 0 for equal values. Shape ``(n,)``."""
        above: Floats = self.x - self.x[0]
        return above

    @cached_property
    def mean(self) -> float:
        """Mean that is exact for equal values. Needs n >= 1."""
        return float(self.x[0] + math.fsum(self.above_least.tolist()) / self.size)

    @cached_property
    def median(self) -> float:
        """Middle value, or the mean of the two. Needs n >= 1."""
        return float(self.x[(self.size - 1) // 2] + self.x[self.size // 2]) / 2

    @cached_property
    def standard_error(self) -> float:
        """Standard error of the mean; exactly 0 for equal values. Needs n >= 2."""
        # What `np.std(..., ddof=1)` computes, to the last bit, without the half of its time that is overhead.
        deviation = self.above_least - self.above_least.sum() / self.size
        variance = float((deviation * deviation).sum()) / (self.size - 1)
        return math.sqrt(variance) / math.sqrt(self.size)

    @cached_property
    def skewness(self) -> float:
        """Standardised third central moment, scaled first, so nearly equal values lose nothing.

        Needs two values that differ.
        """
        scaled = self.above_least / (self.x[-1] - self.x[0])
        deviation = scaled - scaled.mean()
        return float((deviation**3).mean() / (deviation**2).mean() ** 1.5)

    def weighted_means(self, weights: BootstrapWeights) -> tuple[Floats, Floats]:
        """As `BootstrapWeights.means` of the values; kept for intervals at other levels."""
        if self._weighted is None or self._weighted[0] is not weights:
            self._weighted = weights, weights.means(self.x)
        return self._weighted[1]
