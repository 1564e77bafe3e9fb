"""Checkpoints of one run: lines along training, the verdicts in a row, and a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from workers.reports.glossary import FINDINGS, LABELS, Term
from workers.reports.numerals import count, exact
from workers.reports.readings import Json, Reading, finite, read, sampling_half_width
from workers.reports.scales import Linear, around, tick_label
from workers.reports.svg import at, element, joined, line, words

TOP: Final = 16
PLOT: Final = 200
BOTTOM: Final = 44
UNITS: Final = 1000
"""The stretched inner drawing measures this much each way."""

MOST_LABELS: Final = 12
"""Checkpoints named under the axis: more would run into each other on a phone."""

LEAST_HEIGHT: Final = 0.1
"""Of an axis, in success or nats: noise about zero must look like noise."""

GAIN_LINES: Final = {"total": "Gain", "elicited": "Elicited", "created": "Created", "lost": "Lost"}
NATS_LINES: Final = {"tilt": "Tilt", "drift": "Drift", "escape": "Escape"}


@dataclass(frozen=True, slots=True)
class Line:
    """One line: estimates by checkpoint, None where there is none."""

    name: str
    css: str
    estimates: tuple[Json | None, ...]


@dataclass(frozen=True, slots=True)
class TrainingChart:
    """A drawing with its legend."""

    drawing: Markup
    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class CheckpointRow:
    """A checkpoint in the table."""

    name: str
    step: str
    term: Term | None
    gain: Reading | None
    nats: tuple[Reading | None, ...]
    price_step: Reading | None
    lost: str
    findings: tuple[Term, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trajectory:
    """The part of the page about training."""

    gain: TrainingChart | None
    nats: TrainingChart | None
    verdicts: tuple[tuple[str, Term | None], ...]
    rows: tuple[CheckpointRow, ...]
    has_steps: bool
    shrinkage: str
    last: str


def trajectory(document: Json) -> Trajectory | None:
    """Lines, verdicts and rows of the checkpoints; None for other analyses."""
    checkpoints = document.get("checkpoints")
    if not checkpoints:
        return None
    labels = [label_of(one) for one in checkpoints]
    gain_css = {"total": "total", "elicited": "elicited", "created": "created", "lost": "lost"}
    nats_css = {"tilt": "elicited", "drift": "drift", "escape": "created"}
    return Trajectory(
        gain=_chart("gain", "Gain along training", _lines(checkpoints, "gain", GAIN_LINES, gain_css), labels),
        nats=_chart(
            "nats", "Nats along training", _lines(checkpoints, "free_energy", NATS_LINES, nats_css), labels
        ),
        verdicts=tuple(zip(labels, map(_term, checkpoints), strict=True)),
        rows=tuple(_row(one) for one in checkpoints),
        has_steps=any(one.get("success_step") for one in checkpoints),
        shrinkage=shrinkage_sentence(document),
        last=labels[-1],
    )


def label_of(checkpoint: Json) -> str:
    """A checkpoint's step, or its model where the request gives none."""
    return checkpoint["candidate"] if checkpoint["step"] is None else exact(checkpoint["step"])


def shrinkage_sentence(document: Json) -> str:
    """From where on shrinkage is certified, and at which level."""
    number = count(len(document["checkpoints"]), "checkpoint")
    first = document.get("first_shrinkage")
    if first is None:
        return f"Shrinkage is certified at none of {number}, at one error level for all of them together."
    step = "" if first["step"] is None else f", step {exact(first['step'])}"
    return (
        f"Shrinkage is certified from {first['candidate']}{step}, on; earlier checkpoints may have lost "
        f"prompts without it being certified. The error level holds for all {number} together."
    )


def _term(checkpoint: Json) -> Term | None:
    verdict = checkpoint.get("verdict")
    if verdict is None:
        return None
    return LABELS.get(verdict["label"]) or Term(verdict["label"], "", "", "undetermined")


def _row(checkpoint: Json) -> CheckpointRow:
    verdict, energy = checkpoint.get("verdict") or {}, checkpoint.get("free_energy") or {}
    gain, shrinkage = (checkpoint.get("gain") or {}).get("total"), checkpoint["shrinkage"]
    price_step = checkpoint.get("success_step")
    found = [FINDINGS.get(name) or Term(name, "", "", "undetermined") for name in verdict.get("findings", ())]
    lost = f"{len(shrinkage['prompt_ids'])}"
    return CheckpointRow(
        name=checkpoint["candidate"],
        step="" if checkpoint["step"] is None else exact(checkpoint["step"]),
        term=_term(checkpoint),
        gain=None if gain is None else read(gain, signed=True),
        nats=tuple(None if energy.get(key) is None else read(energy[key]) for key in NATS_LINES),
        price_step=None if price_step is None else read(price_step, signed=True),
        lost=f"{lost}, certified" if shrinkage["certified"] else lost,
        findings=tuple(found),
        reasons=tuple(verdict.get("reasons", ())),
    )


def _lines(
    checkpoints: Sequence[Json], part: str, names: Mapping[str, str], css: Mapping[str, str]
) -> list[Line]:
    found = []
    for key, name in names.items():
        estimates = tuple((one.get(part) or {}).get(key) for one in checkpoints)
        if any(estimate is not None and finite(estimate.get("value")) for estimate in estimates):
            found.append(Line(name, css[key], estimates))
    return found


def _chart(name: str, title: str, lines: Sequence[Line], labels: Sequence[str]) -> TrainingChart | None:
    if not lines:
        return None
    ends = [end for one in lines for estimate in one.estimates for end in _ends(estimate)]
    scale = around(ends, least=LEAST_HEIGHT)
    xs = [0.5] if len(labels) == 1 else [i / (len(labels) - 1) for i in range(len(labels))]
    parts = [joined(_levels(scale)), joined(_ticks(xs, labels)), _stretched(lines, xs, scale)]
    parts += [_marks(one, xs, scale) for one in lines]
    told = " ".join(_told(one, labels) for one in lines)
    drawing = element(
        "svg",
        element("title", title, id=f"training-{name}-title"),
        element("desc", told, id=f"training-{name}-description"),
        *parts,
        width="100%",
        height=TOP + PLOT + BOTTOM,
        class_="curve",
        role="img",
        aria_labelledby=f"training-{name}-title training-{name}-description",
    )
    return TrainingChart(drawing, tuple((one.name, one.css) for one in lines))


def _ends(estimate: Json | None) -> list[float]:
    """Everything the drawing must hold of an estimate: its value and the band for these prompts."""
    value = None if estimate is None else finite(estimate.get("value"))
    if value is None or estimate is None:
        return []
    half = sampling_half_width(estimate) or 0.0
    return [value - half, value + half]


def _y(value: float, scale: Linear) -> float:
    return TOP + PLOT * (1 - scale.share(value))


def _levels(scale: Linear) -> list[Markup]:
    ticks = scale.ticks()
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    parts = []
    for tick in ticks:
        css = "zero" if abs(tick) < step / 2 else "grid"
        parts.append(line(0, 1, _y(tick, scale), _y(tick, scale), css))
        parts.append(words(tick_label(tick, step), 0, _y(tick, scale) + 4, anchor="end", dx=-8))
    return parts


def _ticks(xs: Sequence[float], labels: Sequence[str]) -> list[Markup]:
    base, every = TOP + PLOT, -(-len(labels) // MOST_LABELS)
    parts = [words("checkpoints, in training order", 0.5, base + 38, "axis-label")]
    for index, (x, label) in enumerate(zip(xs, labels, strict=True)):
        parts.append(line(x, x, base, base + 5, "tick"))
        if index % every == 0 or index == len(labels) - 1:
            anchor = "start" if x == 0 else "end" if x == 1 else "middle"
            parts.append(words(label, x, base + 18, anchor=anchor))
    return parts


def _stretched(lines: Sequence[Line], xs: Sequence[float], scale: Linear) -> Markup:
    bands = [_band(one, xs, scale) for one in lines]
    paths = [
        element(
            "polyline",
            points=" ".join(_xy(x, value, scale) for x, value in _values(one, xs)),
            class_=f"line training {one.css}",
        )
        for one in lines
    ]
    return element(
        "svg",
        *bands,
        *paths,
        x=0,
        y=TOP,
        width="100%",
        height=PLOT,
        viewBox=f"0 0 {UNITS} {UNITS}",
        preserveAspectRatio="none",
        aria_hidden="true",
    )


def _xy(x: float, value: float, scale: Linear) -> str:
    return f"{UNITS * x:.1f},{UNITS * (1 - scale.share(value)):.1f}"


def _values(one: Line, xs: Sequence[float]) -> list[tuple[float, float]]:
    found = [
        (x, None if estimate is None else finite(estimate.get("value")))
        for x, estimate in zip(xs, one.estimates, strict=True)
    ]
    return [(x, value) for x, value in found if value is not None]


def _band(one: Line, xs: Sequence[float], scale: Linear) -> Markup:
    ends = [(x, _ends(estimate)) for x, estimate in zip(xs, one.estimates, strict=True)]
    known = [(x, pair) for x, pair in ends if pair]
    corners = [_xy(x, high, scale) for x, (_, high) in known]
    corners += [_xy(x, low, scale) for x, (low, _) in reversed(known)]
    return element("polygon", points=" ".join(corners), class_=f"band training {one.css}")


def _marks(one: Line, xs: Sequence[float], scale: Linear) -> Markup:
    return joined(
        element("circle", cx=at(x), cy=_y(value, scale), r=3.8, class_=f"mark training {one.css}")
        for x, value in _values(one, xs)
    )


def _told(one: Line, labels: Sequence[str]) -> str:
    """The line in a sentence, for people who hear the page."""
    readings = [
        f"{read(estimate).value} at {label}"
        for label, estimate in zip(labels, one.estimates, strict=True)
        if estimate is not None
    ]
    return f"{one.name}: {', '.join(readings)}."


def last_rows(document: Json, rows: Sequence[Json]) -> list[Any]:
    """Rows of the last checkpoint; every row where the analysis has no checkpoints."""
    checkpoints = document.get("checkpoints")
    if not checkpoints:
        return list(rows)
    return [row for row in rows if row.get("checkpoint") == len(checkpoints) - 1]
