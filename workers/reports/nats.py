"""The free-energy decomposition: what the distance between the models was spent on."""

from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from workers.reports.bars import Bar, BarChart, bar_chart
from workers.reports.glossary import NATS_PARTS
from workers.reports.numerals import count, exact, numeral
from workers.reports.readings import Json, Reading, finite, read
from workers.reports.scales import around, tick_label
from workers.reports.svg import box, element, line, words

PLOT: Final = 120
BASE: Final = 130


@dataclass(frozen=True, slots=True)
class Positions:
    """KL by token position."""

    drawing: Markup
    rows: tuple[tuple[int, Reading], ...]


def decomposition(energy: Json) -> BarChart:
    """KL and its three parts as bars; retreat where there is one."""
    bars = [
        Bar(term.name, energy[key], term.css, term.words)
        for key, term in NATS_PARTS.items()
        if energy.get(key) is not None
    ]
    return bar_chart(bars, unit="nats a completion, mean over prompts")


def further(energy: Json) -> list[tuple[str, str, Reading, str]]:
    """Name, symbol, reading and unit of the figures around the decomposition."""
    rows = [
        ("KL, plain estimate", "k1: mean of log q − log p, a cross-check", energy["kl_k1"], "nats"),
        ("KL a token", "the KL over the completion's length", energy["kl_per_token"], "nats a token"),
        (
            "Matched inverse temperature",
            "β* of the tilt of the reference that succeeds as often as the candidate",
            energy["matched_inverse_temperature"],
            "1/reward",
        ),
    ]
    rows += [
        (f"Mean energy, {side}", "minus the mean reward", energy["mean_energy"][side], "reward")
        for side in ("reference", "candidate")
    ]
    rows += [
        (f"Entropy, {side}", "of its own completions", estimate, "nats")
        for side, estimate in (energy.get("entropy") or {}).items()
        if estimate is not None
    ]
    return [(name, words_, read(estimate), unit) for name, words_, estimate, unit in rows]


def by_inverse_temperature(energy: Json) -> list[dict[str, Any]]:
    """One row an inverse temperature β."""
    names = ("log_partition", "equilibrium", "free_energy", "gap")
    return [
        {"beta": exact(row["inverse_temperature"]), "readings": [read(row[name]) for name in names]}
        for row in energy["by_inverse_temperature"]
    ]


def certificate(energy: Json) -> dict[str, Any] | None:
    """The KL certificate in words."""
    found = energy.get("certificate")
    if found is None:
        return None
    return {
        "bound": read(found["price_bound"]),
        "budget": numeral(found["budget"]),
        "prompts": count(found["certified_prompts"], "prompt"),
    }


def positions(energy: Json) -> Positions | None:
    """Columns of KL by token position; None where nothing is defined."""
    points = [(p["position"], p["estimate"]) for p in energy.get("by_position") or []]
    known = [(p, v, e) for p, e in points if (v := finite(e.get("value"))) is not None]
    if not known:
        return None
    highs = [high for _, _, e in known if (high := finite(e.get("ci_high"))) is not None]
    scale = around([*(value for _, value, _ in known), *highs], least=1e-6)
    parts = _levels(scale.ticks(4), scale.share)
    for index, (position, value, estimate) in enumerate(known):
        parts += _column(index, len(known), position, value, estimate, scale.share)
    told = ", ".join(f"position {position}: {numeral(value)}" for position, value, _ in known[:16])
    more = f", and {count(len(known) - 16, 'position')} more" if len(known) > 16 else ""
    title = element("title", f"KL by token position, nats. {told}{more}.", id="positions-title")
    label = words("token position", 0.5, BASE + 36, "axis-label")
    drawing = element(
        "svg",
        title,
        *parts,
        label,
        width="100%",
        height=BASE + 42,
        class_="curve",
        role="img",
        aria_labelledby="positions-title",
    )
    return Positions(drawing, tuple((position, read(estimate)) for position, estimate in points))


def _levels(ticks: list[float], share: Any) -> list[Markup]:
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    parts = []
    for tick in ticks:
        y = BASE - PLOT * share(tick)
        parts.append(line(0, 1, y, y, "zero" if tick == 0 else "grid"))
        parts.append(words(tick_label(tick, step), 0, y + 4, anchor="end", dx=-8))
    return parts


def _column(
    index: int, columns: int, position: int, value: float, estimate: Json, share: Any
) -> list[Markup]:
    slot = 1 / columns
    middle, wide = (index + 0.5) * slot, min(0.7 * slot, 0.06)
    zero, top = BASE - PLOT * share(0.0), BASE - PLOT * share(value)
    drawn = [box(middle - wide / 2, middle + wide / 2, min(zero, top), abs(zero - top), "fill total", 1)]
    low, high = finite(estimate.get("ci_low")), finite(estimate.get("ci_high"))
    if low is not None and high is not None:
        drawn.append(line(middle, middle, BASE - PLOT * share(high), BASE - PLOT * share(low), "whisker"))
    if index % max(1, columns // 12) == 0:
        drawn.append(words(str(position), middle, BASE + 18))
    return drawn
