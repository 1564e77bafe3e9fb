"""From numbers to shares of a drawing's width."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from workers.reports.numerals import numeral


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear scale from `low` to `high`."""

    low: float
    high: float

    def share(self, value: float) -> float:
        """Position of a value, clamped to [0, 1]."""
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)

    def ticks(self, most: int = 5) -> list[float]:
        """Round numbers within the scale, 1, 2 or 5 times a power of ten apart."""
        step = _round_step((self.high - self.low) / most)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [step * i for i in range(first, last + 1)]


@dataclass(frozen=True, slots=True)
class Logarithmic:
    """A logarithmic scale from `low` > 0 to `high`; a single point lies in the middle."""

    low: float
    high: float

    def share(self, value: float) -> float:
        """Position of a value, clamped to [0, 1]."""
        if self.high <= self.low:
            return 0.5
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return min(max(share, 0.0), 1.0)

    def powers(self, base: int, most: int = 8) -> list[float]:
        """Powers of the base within the scale, thinned to at most `most`."""
        first = math.ceil(math.log(self.low, base) - 1e-9)
        last = math.floor(math.log(self.high, base) + 1e-9)
        step = max(1, math.ceil((last - first + 1) / most))
        return [float(base) ** i for i in range(first, last + 1, step)]


def around(values: Iterable[float], *, least: float = 0.0) -> Linear:
    """A scale that holds zero and all values with a little air, at least `least` wide."""
    kept = [0.0, *values]
    low, high = min(kept), max(kept)
    if high - low < least:
        high = low + least
    if high == low:
        high = low + 1.0
    air = 0.04 * (high - low)
    return Linear(low - air if low < 0 else 0.0, high + air if high > 0 else 0.0)


def tick_label(value: float, step: float) -> str:
    """A tick's number, with no more decimals than its neighbours need."""
    decimals = max(0, -math.floor(math.log10(abs(step)) + 1e-9)) if step else 0
    return numeral(0.0) if abs(value) < abs(step) / 2 else f"{value:,.{decimals}f}".replace("-", "−")


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
