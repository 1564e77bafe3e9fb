"""What each side reaches: curves, outcomes, regimes, and what the literature would have said."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from workers.estimators.counts import epsilon
from workers.reports.curves import CurveText, Guide, Series, curve_chart
from workers.reports.glossary import BEHAVIOURS, CLASSES, CREATED, OUTCOMES, RETENTION
from workers.reports.numerals import count, exact, numeral, percent
from workers.reports.readings import Json, Reading, finite, read
from workers.reports.scales import Logarithmic

SIDES = ("reference", "candidate")


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawn chart with the numbers it shows and notes on what it does not."""

    drawing: Markup
    sides: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Reading, ...]], ...]
    notes: tuple[str, ...]


def sides_of(support: Json) -> tuple[str, ...]:
    """The sides this analysis has."""
    return tuple(side for side in SIDES if support.get(side))


def pass_at_k(support: Json, budget: Json) -> Chart | None:
    """The pass@k curves with K_use and K_probe marked; None without a point."""
    sides = sides_of(support)
    series = [_series(side, support[side]["pass_at_k"], "k") for side in sides]
    ks = sorted({x for one in series for x, _ in one.points})
    if not ks:
        return None
    scale = Logarithmic(min(ks), max(ks))
    budgets = {"K_use": budget.get("k_use"), "K_probe": budget.get("k_probe")}
    shown = [Guide(k, f"{name} = {k:,}") for name, k in budgets.items() if k and scale.low <= k <= scale.high]
    notes = [
        f"{name} = {k:,} lies beyond the {numeral(scale.high)} samples a prompt that the curve can use: "
        "it is not extended."
        for name, k in budgets.items()
        if k and k > scale.high
    ]
    notes += _crossing(support.get("crossing_k"))
    text = CurveText(
        "pass-at-k",
        "Pass at k of both sides" if len(sides) > 1 else "Pass at k of the reference",
        _told(series, "k"),
        "k, samples a prompt (logarithmic)",
    )
    drawing = curve_chart(series, scale, scale.powers(2), shown, text)
    return Chart(drawing, sides, _table(series), tuple(notes))


def coverage(support: Json, budget: Json, reach: float | None) -> Chart | None:
    """Share of prompts whose success probability is at least tau, over tau."""
    sides = sides_of(support)
    series = [_series(side, support[side]["coverage"], "tau") for side in sides]
    taus = sorted({x for one in series for x, _ in one.points})
    if not taus:
        return None
    scale = Logarithmic(min(taus), 1.0)
    guides = []
    for name, key in (("ε(K_probe)", "k_probe"), ("ε(K_use)", "k_use")):
        if budget.get(key) and reach is not None:
            tau = epsilon(budget[key], reach)
            guides += [Guide(tau, name)] if tau >= scale.low * (1 - 1e-9) else []
    text = CurveText(
        "coverage",
        "Share of prompts whose chance of success is at least τ",
        _told(series, "τ"),
        "τ, chance of success of one sample (logarithmic)",
    )
    drawing = curve_chart(series, scale, scale.powers(10), guides, text)
    return Chart(drawing, sides, _table(series), ())


def outcomes(support: Json) -> list[tuple[str, tuple[tuple[int, str], ...]]]:
    """Samples by outcome and side, with their share."""
    sides = sides_of(support)
    totals = {side: sum(support[side]["outcomes"].values()) for side in sides}
    names = [name for name in OUTCOMES if any(name in support[side]["outcomes"] for side in sides)]
    return [
        (
            OUTCOMES[name],
            tuple(_outcome(support[side]["outcomes"].get(name, 0), totals[side]) for side in sides),
        )
        for name in names
    ]


def literature(document: Json, rows: Sequence[Json]) -> dict[str, Any] | None:
    """The single-budget rule's counts beside ours."""
    support = document["support"]
    rule, regimes = support.get("literature_rule"), support.get("regimes")
    if rule is None or regimes is None:
        return None
    out = sum(row["reference"]["class_at_k_probe"] == "out" for row in rows)
    return {
        "budget": rule["budget"],
        "unreached": rule["unreached"],
        "created": rule["created_claims"],
        "our_unreached": out,
        "our_created": sum(regimes.get(name, 0) for name in CREATED),
        "confirmed": sum(row.get("confirmed") is True for row in rows),
        "undetermined": regimes.get("undetermined", 0),
        "k_probe": document["frame"].get("budget", {}).get("k_probe"),
    }


def retention(support: Json) -> dict[str, Any] | None:
    """The literature's support-change metrics and their A/A null."""
    metrics = support.get("retention")
    if metrics is None:
        return None
    null = metrics.get("null")
    rows = [
        (name, words, read(metrics[key]), read(null[key]) if null and key in null else None)
        for key, (name, words) in RETENTION.items()
        if key in metrics
    ]
    return {"budget": metrics["budget"], "rows": rows, "null": bool(null)}


def classes(support: Json) -> list[tuple[str, str, tuple[str, ...]]] | None:
    """Prompts in reach, out of reach and undetermined at each budget, by side; None without the table."""
    sides = [side for side in sides_of(support) if support[side].get("classes")]
    if not sides:
        return None
    rows = []
    for points in zip(*(support[side]["classes"] for side in sides), strict=True):
        cells = tuple(" / ".join(str(point["prompts"][name]) for name in CLASSES) for point in points)
        price = f"ε = {numeral(points[0]['epsilon'])}, {numeral(points[0]['budget_nats'])} nats"
        rows.append((f"{points[0]['k']:,}", price, cells))
    return rows


def behaviours(support: Json) -> list[tuple[str, str, tuple[Reading | None, ...]]]:
    """What is known of behaviours among successes, by side; empty where the signal labels none."""
    rows = []
    for key, (name, words) in BEHAVIOURS.items():
        estimates = [support[side].get(key) for side in sides_of(support)]
        if any(one is not None and finite(one.get("value")) is not None for one in estimates):
            rows.append((name, words, tuple(None if one is None else read(one) for one in estimates)))
    return rows


def _series(side: str, points: Sequence[Json], name: str) -> Series:
    return Series(side, side, tuple((float(p[name]), p["estimate"]) for p in points if p[name] > 0))


def _table(series: Sequence[Series]) -> tuple[tuple[str, tuple[Reading, ...]], ...]:
    xs = sorted({x for one in series for x, _ in one.points})
    found = [dict(one.points) for one in series]
    absent = Reading("not computed", status="undefined")
    return tuple(
        (
            exact(x) if x >= 1 else numeral(x),
            tuple(read(points[x]) if x in points else absent for points in found),
        )
        for x in xs
    )


def _told(series: Sequence[Series], name: str) -> str:
    """First and last point of each curve, in a sentence."""
    sentences = []
    for one in series:
        known = [(x, finite(e.get("value"))) for x, e in one.points]
        ends = [(x, value) for x, value in known if value is not None]
        if ends:
            (first, start), (last, end) = ends[0], ends[-1]
            sentences.append(
                f"{one.name}: {numeral(start)} at {name} = {numeral(first)}, "
                f"{numeral(end)} at {name} = {numeral(last)}."
            )
    return " ".join(sentences) or "No point of the curves is defined."


def _crossing(estimate: Json | None) -> list[str]:
    if estimate is None:
        return []
    reading = read(estimate)
    told = reading.note if reading.status == "undefined" else reading.sentence
    return [f"Where the two curves cross, in samples: {told}."]


def _outcome(number: int, total: int) -> tuple[int, str]:
    return number, percent(number / total) if total else "no samples"


def samples(support: Json) -> str:
    """How many samples the counts rest on."""
    totals = [
        f"{count(sum(support[s]['outcomes'].values()), 'sample')} of the {s}" for s in sides_of(support)
    ]
    return " and ".join(totals)
