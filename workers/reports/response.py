"""The response of the reference to tilting: mean reward and heat capacity against inverse temperature."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from workers.reports.numerals import exact, numeral
from workers.reports.readings import Json, Reading, finite, read
from workers.reports.scales import Linear, around, tick_label
from workers.reports.svg import element, line, words

PLOT: Final = 200
BASE: Final = 212
UNITS: Final = 1000
"""The stretched inner drawing measures this much each way."""

TICKS: Final = 8
FILL: Final = 0.5
"""The heat capacity is blown up, by a round factor, where it would fill less of the height than this."""


@dataclass(frozen=True, slots=True)
class Response:
    """The drawing with its numbers; `scaled` is the factor that the heat capacity is drawn by, if any."""

    drawing: Markup
    scaled: str
    rows: tuple[tuple[str, Reading, Reading], ...]


def response_chart(energy: Json) -> Response | None:
    """Draw both curves over one axis; None where there is nothing to draw."""
    points = energy.get("response") or []
    means = _values(points, "mean_reward")
    capacities = _values(points, "heat_capacity")
    if len(means) < 2 or not capacities:
        return None
    top = max(value for _, value in means)
    highest = max(value for _, value in capacities)
    factor = _factor(top, highest)
    x = Linear(0.0, max(beta for beta, _ in means))
    ends = [end for _, low, high in _ends(points, "mean_reward", 1.0) for end in (low, high)]
    y = around([*ends, *(value for _, value in means), factor * highest], least=1e-9)
    parts = [*_levels(y), *_betas(x), words("β, 1/reward", 0.5, BASE + 36, "axis-label")]
    inner = [
        _band(_ends(points, "mean_reward", 1.0), x, y, "reference"),
        _band(_ends(points, "heat_capacity", factor), x, y, "candidate"),
        _line(means, x, y, "reference"),
        _line([(beta, factor * value) for beta, value in capacities], x, y, "candidate"),
    ]
    title = element("title", _told(means, capacities), id="response-title")
    stretched = element(
        "svg",
        *inner,
        x=0,
        y=BASE - PLOT,
        width="100%",
        height=PLOT,
        viewBox=f"0 0 {UNITS} {UNITS}",
        preserveAspectRatio="none",
        aria_hidden="true",
    )
    drawing = element(
        "svg",
        title,
        *parts,
        stretched,
        width="100%",
        height=BASE + 42,
        class_="curve",
        role="img",
        aria_labelledby="response-title",
    )
    rows = tuple(
        (exact(p["inverse_temperature"]), read(p["mean_reward"]), read(p["heat_capacity"])) for p in points
    )
    return Response(drawing, "" if factor == 1 else numeral(factor), rows)


def _told(means: Sequence[tuple[float, float]], capacities: Sequence[tuple[float, float]]) -> str:
    first, last = means[0], means[-1]
    beta, peak = max(capacities, key=lambda point: point[1])
    return (
        f"Mean reward of the tilted reference: {numeral(first[1])} at β = {exact(first[0])}, "
        f"{numeral(last[1])} at β = {exact(last[0])}. The heat capacity peaks at {numeral(peak)} near "
        f"β = {numeral(beta)}."
    )


def _values(points: Sequence[Json], key: str) -> list[tuple[float, float]]:
    found = [(p["inverse_temperature"], finite(p[key].get("value"))) for p in points]
    return [(beta, value) for beta, value in found if value is not None]


def _ends(points: Sequence[Json], key: str, factor: float) -> list[tuple[float, float, float]]:
    found = [
        (p["inverse_temperature"], finite(p[key].get("ci_low")), finite(p[key].get("ci_high")))
        for p in points
    ]
    return [
        (b, factor * low, factor * high) for b, low, high in found if low is not None and high is not None
    ]


def _factor(top: float, highest: float) -> float:
    factor = 1.0
    while highest > 0 and 2 * factor * highest <= FILL * 2 * abs(top) and factor < 1e6:
        factor *= 2
    return factor


def _xy(beta: float, value: float, x: Linear, y: Linear) -> str:
    return f"{UNITS * x.share(beta):.1f},{UNITS * (1 - y.share(value)):.1f}"


def _line(points: Sequence[tuple[float, float]], x: Linear, y: Linear, css: str) -> Markup:
    places = " ".join(_xy(beta, value, x, y) for beta, value in points)
    return element("polyline", points=places, class_=f"line {css}")


def _band(ends: Sequence[tuple[float, float, float]], x: Linear, y: Linear, css: str) -> Markup:
    corners = [_xy(beta, high, x, y) for beta, _, high in ends]
    corners += [_xy(beta, low, x, y) for beta, low, _ in reversed(ends)]
    return element("polygon", points=" ".join(corners), class_=f"band {css}")


def _levels(y: Linear) -> list[Markup]:
    ticks = y.ticks(5)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    parts = []
    for tick in ticks:
        height = BASE - PLOT * y.share(tick)
        parts.append(line(0, 1, height, height, "zero" if tick == 0 else "grid"))
        parts.append(words(tick_label(tick, step), 0, height + 4, anchor="end", dx=-8))
    return parts


def _betas(x: Linear) -> list[Markup]:
    ticks = x.ticks(TICKS)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    parts = []
    for tick in ticks:
        parts.append(line(x.share(tick), x.share(tick), BASE, BASE + 5, "tick"))
        parts.append(words(tick_label(tick, step), x.share(tick), BASE + 18))
    return parts
