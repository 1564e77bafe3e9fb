"""The single pictures of a result, each on matplotlib axes of its own."""

from collections.abc import Sequence
from typing import Any

from tiltscope.document import EstimateDocument
from tiltscope.documents import FreeEnergy, Gain, PassAtK, Support

GAIN_COLOURS = {
    "elicited": "#0b7fab",
    "created": "#a23b8f",
    "undetermined": "#b9b9b9",
    "lost": "#c4562d",
}
TERM_COLOURS = {"tilt": "#0b7fab", "drift": "#c99a2e", "escape": "#a23b8f"}
SIDE_COLOURS = {"reference": "#5b6770", "candidate": "#0b7fab"}
INK = "#333333"


def gain_split(axes: Any, gain: Gain) -> None:
    """Parts of the gain in success probability, with 95 % intervals for the population of prompts."""
    rows = [("total", gain.total, INK)]
    rows += [(part, getattr(gain, part), colour) for part, colour in GAIN_COLOURS.items()]
    _bars(axes, rows)
    axes.set_title("Gain in success probability")


def decomposition(axes: Any, terms: FreeEnergy) -> None:
    """KL(candidate || reference) and its parts, nats a sequence, with 95 % intervals."""
    rows = [("KL", terms.kl, INK)]
    rows += [(term, getattr(terms, term), colour) for term, colour in TERM_COLOURS.items()]
    _bars(axes, rows)
    axes.set_title("KL(candidate ‖ reference) = tilt + drift + escape")
    axes.set_xlabel("nats")


def pass_at_k(axes: Any, support: Support, frame: dict[str, Any]) -> None:
    """pass@k of each side on a logarithmic k, with 95 % bands for the population of prompts."""
    for side, colour in SIDE_COLOURS.items():
        half = getattr(support, side)
        if half is None:
            continue
        points: list[PassAtK] = [point for point in half.pass_at_k if point.estimate.value is not None]
        k = [point.k for point in points]
        axes.plot(k, [point.estimate.value for point in points], "o-", ms=3, color=colour, label=side)
        banded = [point for point in points if None not in (point.estimate.ci_low, point.estimate.ci_high)]
        axes.fill_between(
            [point.k for point in banded],
            [point.estimate.ci_low for point in banded],
            [point.estimate.ci_high for point in banded],
            color=colour,
            alpha=0.15,
            lw=0,
        )
    for name, value in _budgets(frame).items():
        axes.axvline(value, color="#999999", lw=0.8, ls=":")
        above = (value, 1.01)
        axes.annotate(
            name, above, xycoords=("data", "axes fraction"), fontsize=8, color="#666666", ha="center"
        )
    axes.set_xscale("log", base=2)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("k")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_title("pass@k", loc="left")
    axes.legend(frameon=False, loc="best")


def _budgets(frame: dict[str, Any]) -> dict[str, float]:
    budget = frame.get("budget") or {}
    wanted = {"K_use": budget.get("k_use"), "K_probe": budget.get("k_probe")}
    return {name: value for name, value in wanted.items() if value is not None}


def regimes(axes: Any, counts: dict[str, int]) -> None:
    """Prompts by regime."""
    present = {name: count for name, count in counts.items() if count}
    places = range(len(present))
    axes.barh(places, list(present.values()), color="#7f9aa8", height=0.6)
    axes.set_yticks(places, list(present))
    axes.invert_yaxis()
    for place, count in zip(places, present.values(), strict=True):
        axes.annotate(f" {count}", (count, place), va="center", fontsize=9, color=INK)
    axes.margins(x=0.12)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_title("Prompts by regime")


def _bars(axes: Any, rows: Sequence[tuple[str, EstimateDocument, str]]) -> None:
    for place, (_, estimate, colour) in enumerate(rows):
        if estimate.value is None:
            axes.annotate(
                f"{estimate.status}: {estimate.reason}", (0, place), fontsize=8, va="center", color="#666666"
            )
            continue
        axes.barh(place, estimate.value, color=colour, height=0.55, alpha=0.85)
        if estimate.ci_low is not None and estimate.ci_high is not None:
            axes.plot([estimate.ci_low, estimate.ci_high], [place, place], color="black", lw=1.2)
    axes.axvline(0, color="#999999", lw=0.8)
    axes.set_yticks(range(len(rows)), [name for name, _, _ in rows])
    axes.invert_yaxis()
