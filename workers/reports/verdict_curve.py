"""The verdict had K_probe been something else: one bar a budget."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from workers.reports.creation_share import share_bar
from workers.reports.glossary import LABELS, Term
from workers.reports.numerals import percent
from workers.reports.readings import Json, finite


@dataclass(frozen=True, slots=True)
class Point:
    """One K_probe."""

    k_probe: str
    asked: bool
    term: Term
    share: str
    drawing: Markup


def verdict_curve(points: Sequence[Json], frame: Json) -> list[Point]:
    """The label and the created share at each K_probe, smallest first."""
    asked = (frame.get("budget") or {}).get("k_probe")
    decision = frame.get("decision") or {}
    return [_point(point, asked, decision) for point in sorted(points, key=lambda p: p["k_probe"])]


def _point(point: Json, asked: object, decision: Json) -> Point:
    low, high = finite(point.get("creation_share_lower")), finite(point.get("creation_share_upper"))
    label = point["label"]
    term = LABELS.get(label) or Term(label, "", "", "undetermined")
    if low is None or high is None:
        share = "no gain to divide"
    elif percent(low) == percent(high):
        share = percent(low)
    else:
        share = f"{percent(low)} to {percent(high)}"
    return Point(
        f"{point['k_probe']:,}",
        point["k_probe"] == asked,
        term,
        share,
        share_bar(low, high, decision=decision),
    )
