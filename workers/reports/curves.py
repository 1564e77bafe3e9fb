"""Curves with interval bands over a logarithmic axis."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from workers.reports.numerals import exact, percent
from workers.reports.readings import Json, finite, sampling_half_width
from workers.reports.scales import Logarithmic
from workers.reports.svg import at, element, joined, line, words

TOP: Final = 40
PLOT: Final = 220
BOTTOM: Final = 40
UNITS: Final = 1000
"""The stretched inner drawing measures this much each way."""

LEVELS: Final = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class Series:
    """One curve.

    Attributes:
        name: In the legend.
        css: Class that colours and dashes it; `candidate` has square marks.
        points: x > 0 with the estimate of a share there.
    """

    name: str
    css: str
    points: tuple[tuple[float, Json], ...]


@dataclass(frozen=True, slots=True)
class Guide:
    """A vertical line at x with a name."""

    x: float
    label: str


@dataclass(frozen=True, slots=True)
class CurveText:
    """The words of a chart: ids are made from `name`."""

    name: str
    title: str
    description: str
    x_label: str


def curve_chart(
    series: Sequence[Series],
    scale: Logarithmic,
    ticks: Sequence[float],
    guides: Sequence[Guide],
    text: CurveText,
) -> Markup:
    """Draw shares between 0 and 1 over a logarithmic axis.

    x positions are percentages and y positions pixels, so the drawing stretches while its text does not.
    """
    parts = [joined(_levels()), joined(_ticks(scale, ticks, text.x_label)), joined(_guides(scale, guides))]
    parts.append(_stretched(series, scale))
    parts += [_marks(one, scale) for one in series]
    title = element("title", text.title, id=f"{text.name}-title")
    description = element("desc", text.description, id=f"{text.name}-description")
    return element(
        "svg",
        title,
        description,
        *parts,
        width="100%",
        height=TOP + PLOT + BOTTOM,
        class_="curve",
        role="img",
        aria_labelledby=f"{text.name}-title {text.name}-description",
    )


def _y(share: float) -> float:
    return TOP + PLOT * (1 - min(max(share, 0.0), 1.0))


def _levels() -> list[Markup]:
    parts = []
    for level in LEVELS:
        parts.append(line(0, 1, _y(level), _y(level), "zero" if level == 0 else "grid"))
        parts.append(words(percent(level), 0, _y(level) + 4, anchor="end", dx=-8))
    return parts


def _ticks(scale: Logarithmic, ticks: Sequence[float], label: str) -> list[Markup]:
    base = TOP + PLOT
    parts = [words(label, 0.5, base + 36, "axis-label")]
    for tick in ticks:
        share = scale.share(tick)
        parts.append(line(share, share, base, base + 5, "tick"))
        parts.append(words(exact(tick), share, base + 18))
    return parts


def _guides(scale: Logarithmic, guides: Sequence[Guide]) -> list[Markup]:
    parts = []
    for row, guide in enumerate(guides):
        share, y = scale.share(guide.x), 12 + 14 * (row % 2)
        before = share > 0.6
        parts.append(line(share, share, y - 9, TOP + PLOT, "guide"))
        parts.append(
            words(guide.label, share, y, "guide-label", "end" if before else "start", -5 if before else 5)
        )
    return parts


def _stretched(series: Sequence[Series], scale: Logarithmic) -> Markup:
    bands = [_band(_population(one), one.css, scale) for one in series]
    bands += [_band(_these_prompts(one), f"inner-band {one.css}", scale) for one in series]
    lines = [_line(one, scale) for one in series]
    return element(
        "svg",
        *bands,
        *lines,
        x=0,
        y=TOP,
        width="100%",
        height=PLOT,
        viewBox=f"0 0 {UNITS} {UNITS}",
        preserveAspectRatio="none",
        aria_hidden="true",
    )


def _xy(x: float, share: float) -> str:
    return f"{UNITS * x:.1f},{UNITS * (1 - min(max(share, 0.0), 1.0)):.1f}"


def _population(series: Series) -> list[tuple[float, float, float]]:
    """Points: x with the ends of the interval for the population of prompts."""
    ends = [(x, finite(e.get("ci_low")), finite(e.get("ci_high"))) for x, e in series.points]
    return [(x, low, high) for x, low, high in ends if low is not None and high is not None]


def _these_prompts(series: Series) -> list[tuple[float, float, float]]:
    """Points: x with the ends of the interval for exactly these prompts, where there is one."""
    halves = [(x, finite(e.get("value")), sampling_half_width(e)) for x, e in series.points]
    return [(x, v - half, v + half) for x, v, half in halves if v is not None and half]


def _band(ends: Sequence[tuple[float, float, float]], css: str, scale: Logarithmic) -> Markup:
    corners = [_xy(scale.share(x), high) for x, _, high in ends]
    corners += [_xy(scale.share(x), low) for x, low, _ in reversed(ends)]
    return element("polygon", points=" ".join(corners), class_=f"band {css}")


def _values(series: Series) -> list[tuple[float, float]]:
    found = [(x, finite(estimate.get("value"))) for x, estimate in series.points]
    return [(x, value) for x, value in found if value is not None]


def _line(series: Series, scale: Logarithmic) -> Markup:
    points = " ".join(_xy(scale.share(x), value) for x, value in _values(series))
    return element("polyline", points=points, class_=f"line {series.css}")


def _marks(series: Series, scale: Logarithmic) -> Markup:
    square = series.css == "candidate"
    parts = []
    for x, value in _values(series):
        place, y = at(scale.share(x)), _y(value)
        if square:
            shape = {"x": place, "y": y, "width": 7, "height": 7, "transform": "translate(-3.5 -3.5)"}
            parts.append(element("rect", **shape, class_=f"mark {series.css}"))
        else:
            parts.append(element("circle", cx=place, cy=y, r=3.8, class_=f"mark {series.css}"))
    return joined(parts)
