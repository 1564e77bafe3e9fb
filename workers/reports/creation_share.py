"""The created share of the gain: a partially identified interval on a bar from 0 to 1."""

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from workers.reports.bars import HEIGHT, axis, drawing, whisker
from workers.reports.numerals import percent
from workers.reports.readings import Json, Reading, finite, read
from workers.reports.scales import Linear
from workers.reports.svg import box, line

WHOLE = Linear(0.0, 1.0)


@dataclass(frozen=True, slots=True)
class CreationShare:
    """The bar, with its ends in words, or the reason why there is none."""

    lower: Reading
    upper: Reading
    missing: str
    settled: bool
    drawing: Markup
    axis: Markup
    rules: tuple[str, ...]


def creation_share(share: Json, decision: Mapping[str, object]) -> CreationShare:
    """Draw the gain as a whole: created up to `lower`, unsettled up to `upper`, elicited beyond.

    The whisker joins the outer ends of the two intervals.

    Args:
        share: `{lower, upper}`, both estimates.
        decision: The thresholds of the frame, drawn as marks.
    """
    lower, upper = read(share["lower"], share=True), read(share["upper"], share=True)
    low, high = finite(share["lower"].get("value")), finite(share["upper"].get("value"))
    missing = ""
    if low is None or high is None:
        missing = (lower if low is None else upper).note
    ends = finite(share["lower"].get("ci_low")), finite(share["upper"].get("ci_high"))
    return CreationShare(
        lower,
        upper,
        missing,
        low == high,
        share_bar(low, high, *ends, decision=decision),
        axis(WHOLE, percent),
        tuple(_rules(decision)),
    )


def share_bar(
    low: float | None,
    high: float | None,
    outer_low: float | None = None,
    outer_high: float | None = None,
    *,
    decision: Mapping[str, object],
) -> Markup:
    """The bar itself: three pieces, the whisker, the thresholds of the decision."""
    if low is None or high is None:
        parts = [box(0, 1, 6, HEIGHT - 12, "track", 2)]
    else:
        pieces = ((0.0, low, "created"), (low, high, "undetermined"), (high, 1.0, "elicited"))
        parts = [box(a, b, 6, HEIGHT - 12, f"fill {css}") for a, b, css in pieces if b > a]
        parts += whisker(outer_low, outer_high, low, WHOLE)
    for name in ("elicitation_max_share", "creation_min_share"):
        threshold = finite(decision.get(name))
        if threshold is not None:
            parts.append(line(threshold, threshold, 0, HEIGHT, "guide"))
    return drawing(HEIGHT, *parts)


def _rules(decision: Mapping[str, object]) -> list[str]:
    most, least = finite(decision.get("elicitation_max_share")), finite(decision.get("creation_min_share"))
    rules = []
    if most is not None:
        rules.append(f"elicitation needs the whole interval at or below {percent(most)}")
    if least is not None:
        rules.append(f"creation needs all of it at or above {percent(least)}")
    return rules
