"""The free-energy decomposition: what the distance between the models was spent on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from workers.reports.bars import Bar, BarChart, bar_chart
from workers.reports.footnotes import gather
from workers.reports.glossary import DRIFT_PARTS, NATS_PARTS
from workers.reports.numerals import count, exact, numeral
from workers.reports.readings import Json, Reading, finite, read
from workers.reports.scales import around, tick_label
from workers.reports.svg import box, element, line, words

PLOT: Final = 120
BASE: Final = 130

Share = Callable[[float], float]
"""From a number to its share of the height."""


@dataclass(frozen=True, slots=True)
class Positions:
    """KL by token position."""

    drawing: Markup
    rows: tuple[tuple[int, Reading, Reading | None], ...]
    missing: str


@dataclass(frozen=True, slots=True)
class InverseTemperatures:
    """The free-energy terms by inverse temperature, with the notes they share."""

    rows: tuple[tuple[str, tuple[Reading, ...]], ...]
    footnotes: tuple[str, ...]


def decomposition(energy: Json) -> BarChart:
    """KL and its three parts as bars; retreat where there is one."""
    bars = [
        Bar(term.name, energy[key], term.css, term.words)
        for key, term in NATS_PARTS.items()
        if energy.get(key) is not None
    ]
    return bar_chart("nats", bars, unit="nats a completion, mean over prompts")


def drift_parts(energy: Json) -> BarChart | None:
    """Drift by the behaviour of each success; None where successes bear no labels."""
    parts = energy.get("drift_parts")
    if parts is None:
        return None
    bars = [Bar(term.name, parts[key], term.css, term.words) for key, term in DRIFT_PARTS.items()]
    return bar_chart("drift-parts", bars, unit="nats a completion, mean over prompts")


def further(energy: Json) -> list[tuple[str, str, Reading]]:
    """Name, words with the unit, and reading of the figures around the decomposition."""
    rows = [
        (
            "Reverse KL",
            "KL(reference‖candidate), along the reference's completions: large where the candidate gave up "
            "what the reference does",
            energy.get("kl_reverse"),
            "nats",
        ),
        (
            "KL without truncation",
            "KL(candidate‖reference) at temperature 1, from draws of its own: another law than the policy's",
            (energy.get("kl_untruncated") or {}).get("kl"),
            "nats",
        ),
        ("KL, plain estimate", "k1: mean of log q − log p, a cross-check", energy["kl_k1"], "nats"),
        ("KL a token", "the KL over the completion's length", energy["kl_per_token"], "nats a token"),
        (
            "Matched inverse temperature",
            "β* of the tilt of the reference that earns the candidate's mean reward",
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
    return [(name, f"{told}; {unit}", read(estimate)) for name, told, estimate, unit in rows if estimate]


def by_inverse_temperature(energy: Json) -> InverseTemperatures:
    """One row an inverse temperature β: log Z, minimum, free energy, gap."""
    names = ("log_partition", "equilibrium", "free_energy", "gap")
    rows = energy["by_inverse_temperature"]
    readings, footnotes = gather([read(row[name]) for row in rows for name in names])
    wide = len(names)
    return InverseTemperatures(
        tuple(
            (exact(row["inverse_temperature"]), tuple(readings[wide * index : wide * (index + 1)]))
            for index, row in enumerate(rows)
        ),
        footnotes,
    )


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
    known = [(p, v) for p, e in points if (v := finite(e.get("value"))) is not None]
    if not known:
        return None
    highs = [high for _, e in points if (high := finite(e.get("ci_high"))) is not None]
    scale = around([*(value for _, value in known), *highs], least=1e-6)
    parts = _levels(scale.ticks(4), scale.share)
    for index, (position, estimate) in enumerate(points):
        parts += _column(index, len(points), position, estimate, scale.share)
    told = ", ".join(f"position {position}: {numeral(value)}" for position, value in known[:16])
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
    back = {p["position"]: p.get("reverse") for p in energy["by_position"]}
    rows = tuple(
        (position, read(estimate), None if back[position] is None else read(back[position]))
        for position, estimate in points
    )
    missing = [reading.note for _, reading, _ in rows if reading.status == "undefined"]
    return Positions(drawing, rows, "; ".join(dict.fromkeys(missing)))


def _levels(ticks: list[float], share: Share) -> list[Markup]:
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    parts = []
    for tick in ticks:
        y = BASE - PLOT * share(tick)
        parts.append(line(0, 1, y, y, "zero" if tick == 0 else "grid"))
        parts.append(words(tick_label(tick, step), 0, y + 4, anchor="end", dx=-8))
    return parts


def _column(index: int, columns: int, position: int, estimate: Json, share: Share) -> list[Markup]:
    slot = 1 / columns
    middle, half = (index + 0.5) * slot, min(0.7 * slot, 0.06) / 2
    drawn = []
    value = finite(estimate.get("value"))
    if value is None:
        drawn.append(words("×", middle, BASE - 5))
    else:
        zero, top = BASE - PLOT * share(0.0), BASE - PLOT * share(value)
        drawn.append(box(middle - half, middle + half, min(zero, top), abs(zero - top), "fill total", 1))
    low, high = finite(estimate.get("ci_low")), finite(estimate.get("ci_high"))
    if low is not None and high is not None:
        drawn.append(line(middle, middle, BASE - PLOT * share(high), BASE - PLOT * share(low), "whisker"))
    if index % max(1, columns // 12) == 0:
        drawn.append(words(str(position), middle, BASE + 18))
    return drawn
