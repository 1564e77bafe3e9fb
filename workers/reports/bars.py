"""Bars with intervals, one drawing a row, so that labels stay text and wrap on a phone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from workers.reports.footnotes import gather
from workers.reports.readings import Json, Reading, finite, read, sampling_half_width
from workers.reports.scales import Linear, around, tick_label
from workers.reports.svg import at, box, element, line, words

HEIGHT = 26
AXIS_HEIGHT = 22


@dataclass(frozen=True, slots=True)
class Bar:
    """What one row shows.

    Attributes:
        label: Its name.
        estimate: The estimate it draws.
        css: Class that colours it.
        note: A sentence on what it is.
    """

    label: str
    estimate: Json
    css: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A drawn bar."""

    label: str
    css: str
    note: str
    reading: Reading
    drawing: Markup


@dataclass(frozen=True, slots=True)
class BarChart:
    """Rows over a common axis; `missing` is the reason where no row has anything to draw."""

    rows: tuple[Row, ...]
    axis: Markup
    unit: str
    missing: str
    footnotes: tuple[str, ...]
    name: str


def bar_chart(name: str, bars: Sequence[Bar], *, unit: str, signed: bool = False) -> BarChart:
    """Draw bars from zero, whiskers for the intervals, on one scale; `name` makes the footnotes' ids."""
    ends = [end for bar in bars for end in _ends(bar.estimate)]
    scale = around(ends, least=1e-6 if ends else 1.0)
    readings, footnotes = gather([read(bar.estimate, signed=signed) for bar in bars])
    rows = tuple(
        Row(bar.label, bar.css, bar.note, reading, _draw(bar, scale))
        for bar, reading in zip(bars, readings, strict=True)
    )
    missing = "" if ends else "; ".join(dict.fromkeys(footnotes or [r.note for r in readings]))
    return BarChart(rows, axis(scale), unit, missing, footnotes, name)


def axis(scale: Linear, label: Any = None) -> Markup:
    """Ticks with numbers under the rows."""
    ticks = scale.ticks()
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    parts: list[Markup] = []
    for tick in ticks:
        share = scale.share(tick)
        text = tick_label(tick, step) if label is None else label(tick)
        parts.append(line(share, share, 0, 5, "tick"))
        anchor = "start" if share < 0.02 else "end" if share > 0.98 else "middle"
        parts.append(words(text, share, 18, anchor=anchor))
    return drawing(AXIS_HEIGHT, *parts)


def drawing(height: int, *parts: Markup) -> Markup:
    """A decorative drawing as wide as its place: the text beside it says the same."""
    return element("svg", *parts, width="100%", height=height, aria_hidden="true", focusable="false")


def whisker(low: float | None, high: float | None, middle: float, scale: Linear) -> list[Markup]:
    """An interval with end caps; an end that is missing is not drawn."""
    if low is None and high is None:
        return []
    start = scale.share(middle if low is None else low)
    end = scale.share(middle if high is None else high)
    y = HEIGHT / 2
    caps = [scale.share(edge) for edge in (low, high) if edge is not None]
    return [
        line(start, end, y, y, "whisker"),
        *(line(cap, cap, y - 5, y + 5, "whisker") for cap in caps),
    ]


def _ends(estimate: Json) -> list[float]:
    value, half = finite(estimate.get("value")), sampling_half_width(estimate)
    inner = [] if value is None or half is None else [value - half, value + half]
    outer = [finite(estimate.get(name)) for name in ("value", "ci_low", "ci_high")]
    return [*inner, *(end for end in outer if end is not None)]


def _draw(bar: Bar, scale: Linear) -> Markup:
    zero, parts = scale.share(0.0), []
    parts += [line(s, s, 0, HEIGHT, "grid") for s in map(scale.share, scale.ticks())]
    value = finite(bar.estimate.get("value"))
    low, high = finite(bar.estimate.get("ci_low")), finite(bar.estimate.get("ci_high"))
    if value is not None:
        parts.append(box(zero, scale.share(value), 6, HEIGHT - 12, f"fill {bar.css}", 2))
    parts.append(line(zero, zero, 0, HEIGHT, "zero"))
    anchor = value if value is not None else low if low is not None else high
    if anchor is not None:
        parts += whisker(low, high, anchor, scale)
    half = sampling_half_width(bar.estimate)
    if value is not None and half is not None:
        y = HEIGHT / 2
        parts.append(line(scale.share(value - half), scale.share(value + half), y, y, "inner"))
    if value is not None:
        parts.append(element("circle", cx=at(scale.share(value)), cy=HEIGHT / 2, r=3, class_="dot"))
    return drawing(HEIGHT, *parts)
