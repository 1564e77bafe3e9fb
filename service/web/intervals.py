"""Estimates as people read them: a number with its interval, drawn on a scale that its column shares."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Final, Self

from api_schemas.estimates import Estimate

WIDTH: Final = 120
"""Pixels of a drawing: several columns fit a laptop's screen."""

HEIGHT: Final = 10
MARGIN: Final = 4


@dataclass(frozen=True, slots=True)
class Scale:
    """The range of a column; zero is always on it."""

    low: float
    high: float

    @classmethod
    def over(cls, estimates: Iterable[Estimate | None]) -> Self:
        """The range of all values and intervals."""
        drawn = [0.0]
        for one in estimates:
            if one is not None:
                ends = (one.value, one.ci_low, one.ci_high)
                drawn += [end for end in ends if end is not None and math.isfinite(end)]
        return cls(min(drawn), max(drawn))

    def x(self, value: float) -> float:
        """Where a value is drawn."""
        span = (self.high - self.low) or 1.0
        share = min(1.0, max(0.0, (value - self.low) / span))
        return round(MARGIN + share * (WIDTH - 2 * MARGIN), 1)


def cell(estimate: Estimate | None, scale: Scale) -> str:
    """A table cell; an estimate without a value says why, what was not computed is a dash."""
    if estimate is None:
        return '<td class="quiet">–</td>'
    if estimate.value is None:
        return f'<td class="quiet">{escape(estimate.status)}: {escape(estimate.reason)}</td>'
    doubt = "" if estimate.status == "ok" else f"{escape(estimate.status)}: {escape(estimate.reason)}"
    return (
        f'<td><strong class="number">{number(estimate.value)}</strong><br>'
        f'<span class="quiet number">{_ends(estimate)}</span>{_drawing(estimate, scale)}'
        f'<span class="quiet">{doubt}</span></td>'
    )


def number(value: float) -> str:
    """Three significant digits, and never an exponent for what people compare."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    places = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(places, 6)}f}" if abs(value) >= 1e-6 else f"{value:.1e}"


def _ends(estimate: Estimate) -> str:
    low, high = (None if end is None else number(end) for end in (estimate.ci_low, estimate.ci_high))
    if low is None and high is None:
        return "no interval"
    if low is None:
        return f"up to {high}"
    return f"{low} or more" if high is None else f"{low} to {high}"


def _drawing(estimate: Estimate, scale: Scale) -> str:
    """The interval as a line, the value as a dot, and where zero is."""
    middle, value = HEIGHT / 2, estimate.value or 0.0
    low = scale.low if estimate.ci_low is None else estimate.ci_low
    high = scale.high if estimate.ci_high is None else estimate.ci_high
    zero = scale.x(0.0)
    line = f'<line class="interval" x1="{scale.x(low)}" x2="{scale.x(high)}" y1="{middle}" y2="{middle}"/>'
    has_interval = estimate.ci_low is not None or estimate.ci_high is not None
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT}" aria-hidden="true">'
        f'<line class="zero" x1="{zero}" x2="{zero}" y1="0" y2="{HEIGHT}"/>{line if has_interval else ""}'
        f'<circle cx="{scale.x(value)}" cy="{middle}" r="3"/></svg>'
    )
