"""The checkpoints of a run as lines over training."""

from collections.abc import Mapping, Sequence
from typing import Any

from tiltscope.plots.panels import GAIN_COLOURS, INK, TERM_COLOURS

Checkpoints = Sequence[Mapping[str, Any]]
VERDICT_COLOURS = {
    "elicitation": "#0b7fab",
    "creation": "#a23b8f",
    "mixed": "#c99a2e",
    "inconclusive": "#b9b9b9",
}


def gain_lines(axes: Any, checkpoints: Checkpoints) -> None:
    """Gain in success probability and its parts over training; the band is that of the total, 95 %."""
    _lines(axes, checkpoints, "gain", {"total": INK, **GAIN_COLOURS}, banded="total")
    for place, checkpoint in zip(places(checkpoints), checkpoints, strict=True):
        verdict = checkpoint.get("verdict")
        if verdict is not None:
            colour = VERDICT_COLOURS.get(verdict["label"], INK)
            axes.plot(
                place, 1.04, "s", ms=6, color=colour, transform=axes.get_xaxis_transform(), clip_on=False
            )
    axes.set_title("Gain in success probability; squares are verdicts", loc="left", pad=14)


def decomposition_lines(axes: Any, checkpoints: Checkpoints) -> None:
    """KL(candidate || reference) and its parts over training, nats a sequence; the band is KL's, 95 %."""
    _lines(axes, checkpoints, "free_energy", {"kl": INK, **TERM_COLOURS}, banded="kl")
    axes.set_ylabel("nats")
    axes.set_title("KL(candidate ‖ reference) = tilt + drift + escape", loc="left", pad=14)


def places(checkpoints: Checkpoints) -> list[int]:
    """Training steps where every checkpoint has one, else their order from 1."""
    steps = [checkpoint.get("step") for checkpoint in checkpoints]
    known = [step for step in steps if isinstance(step, int)]
    return known if len(known) == len(steps) else list(range(1, len(steps) + 1))


def _lines(
    axes: Any, checkpoints: Checkpoints, section: str, colours: Mapping[str, str], *, banded: str
) -> None:
    at = places(checkpoints)
    for name, colour in colours.items():
        estimates = [(checkpoint.get(section) or {}).get(name) or {} for checkpoint in checkpoints]
        # A checkpoint without a value leaves a gap: the line does not bridge it.
        values = [float("nan") if one.get("value") is None else one["value"] for one in estimates]
        axes.plot(at, values, "o-", ms=3, color=colour, label="KL" if name == "kl" else name)
        if name == banded:
            ends = [
                (place, one["ci_low"], one["ci_high"])
                for place, one in zip(at, estimates, strict=True)
                if one.get("ci_low") is not None and one.get("ci_high") is not None
            ]
            if ends:
                axes.fill_between(*zip(*ends, strict=True), color=colour, alpha=0.12, lw=0)
    axes.axhline(0, color="#999999", lw=0.8)
    stepped = all(isinstance(checkpoint.get("step"), int) for checkpoint in checkpoints)
    axes.set_xlabel("training step" if stepped else "checkpoint")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(frameon=False, loc="best", fontsize=8)
