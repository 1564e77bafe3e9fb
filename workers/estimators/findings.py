"""News beside the verdict, never netted against gains.

*Certified*: `shrinkage` (prompts lost) at a false discovery rate of alpha, `regression` at level alpha/2.
*Suspected*: `collapse`, `drift_dominated` and `format_repair` describe how the candidate moved; their bound
is for the population of prompts, and their thresholds are the request's. `format_repair` is *shown* on
prompts that a format-repair arm of the reference reaches.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from workers.estimators.dataset import mean_over_prompts
from workers.estimators.estimate import Estimate
from workers.estimators.families import LEAST_UNITS
from workers.estimators.gain import PromptRecord
from workers.estimators.regimes import PromptEvidence, classify_regime
from workers.estimators.selection import e_bh
from workers.estimators.share import GainSplit

Floats = NDArray[np.float64]
FindingName = Literal["shrinkage", "regression", "collapse", "drift_dominated", "format_repair"]
NEWS: Final[frozenset[FindingName]] = frozenset({"shrinkage", "regression"})
"""Findings that lead the sentence a reader sees; the others follow the verdict."""


@dataclass(frozen=True, slots=True)
class Finding:
    """News beside the verdict.

    Attributes:
        finding: Which.
        detail: What was found, in plain words with its numbers.
        prompt_ids: The prompts it is about, where it is about some.
    """

    finding: FindingName
    detail: str
    prompt_ids: tuple[str, ...] = ()


def log_e_lost(evidence: PromptEvidence) -> float:
    """Log e-value, in nats, against "not lost": a <= epsilon(K_probe) or b >= epsilon(K_probe).

    An intersection-union test: of the two e-values the one whose null holds has mean at most 1, and the
    smaller of the two is no larger than it.
    """
    return min(evidence.reference_probe.log_e_in, evidence.candidate_probe.log_e_out)


def select_lost(prompts: Sequence[PromptEvidence], alpha: float) -> NDArray[np.bool_]:
    """Which `lost` regimes e-BH keeps at level alpha; every prompt is tested. Shape ``(M,)``."""
    kept = e_bh(np.array([log_e_lost(one) for one in prompts], np.float64), alpha)
    return kept & np.array([classify_regime(one).name == "lost" for one in prompts], np.bool_)


def shrinkage(prompts: Sequence[PromptRecord], alpha: float) -> Finding | None:
    """Prompts in reach before and no longer reached, kept by e-BH over all prompts."""
    kept = select_lost([prompt.evidence for prompt in prompts], alpha)
    lost = tuple(prompt.prompt_id for prompt, is_kept in zip(prompts, kept, strict=True) if is_kept)
    if not lost:
        return None
    words = "prompt is" if len(lost) == 1 else "prompts are"
    detail = f"{len(lost)} of {len(prompts)} {words} lost: in reach before, no longer reached"
    return Finding("shrinkage", detail, lost)


def regression(gain: GainSplit) -> Finding | None:
    """The candidate succeeds less often: the total gain's upper bound for these prompts is below 0."""
    high, value = gain.total.sampling_high, gain.total.estimate.value
    if high is None or value is None or high >= 0:
        return None
    return Finding(
        "regression", f"the candidate succeeds less often: mean gain {value:+.3f}, at most {high:+.3f}"
    )


def collapse(
    candidate: Floats,
    tilted: Floats,
    what: str,
    *,
    max_share: float,
    confidence: float,
    families: Sequence[str],
) -> Finding | None:
    """The candidate keeps at most a share of the entropy that a tilt to its success rate would have kept.

    Args:
        candidate: Entropy of q on each prompt, nats. Shape ``(M,)``.
        tilted: Entropy of the matched tilt of p, or of what p shows among its successes. Shape ``(M,)``.
        what: What the entropy is of, for the reader.
        max_share: Share at or below which it has collapsed.
        confidence: Of the two-sided interval whose upper end must lie below.
        families: A family a prompt.
    """
    if not _is_surely_negative(candidate - max_share * tilted, confidence, families):
        return None
    kept = float(candidate.mean() / tilted.mean())
    return Finding(
        "collapse",
        f"the candidate keeps {kept:.0%} of the {what} that a tilt to its success rate would have kept "
        f"({candidate.mean():.2f} of {tilted.mean():.2f} nats over {candidate.size} prompts); collapse is at "
        f"most {max_share:.0%}",
    )


def drift_dominated(
    kl: Floats,
    drift: Floats,
    *,
    min_share: float,
    min_nats: float,
    confidence: float,
    families: Sequence[str],
) -> Finding | None:
    """Most of KL(q||p) is neither what the signal asked for nor an escape.

    Args:
        kl: KL(q||p) of each prompt, nats. Shape ``(M,)``.
        drift: Its drift, nats. Shape ``(M,)``.
        min_share: Share of the KL that drift must exceed.
        min_nats: Mean drift below which it is no news, whatever its share.
        confidence: Of the two-sided interval whose lower end must exceed it.
        families: A family a prompt.
    """
    if not drift.size or drift.mean() < min_nats:
        return None
    if not _is_surely_negative(min_share * kl - drift, confidence, families):
        return None
    share = float(drift.mean() / kl.mean())
    return Finding(
        "drift_dominated",
        f"{share:.0%} of the KL ({drift.mean():.2f} of {kl.mean():.2f} nats) is drift: style, length, "
        "collapse or forgetting, not what the signal asked for",
    )


def format_repair(
    prompts: Sequence[PromptRecord],
    gain: GainSplit,
    *,
    max_share: float,
    confidence: float,
) -> Finding | None:
    """The gain mostly vanishes when truncated and unparsed samples of both sides are left out.

    On a prompt where a side has no other sample nothing is left to compare: it shows no gain on parsed
    samples.

    Args:
        prompts: Prompts with both sides.
        gain: Their gain split.
        max_share: Share of the gain, at most, that parsed samples may show.
        confidence: Of the two-sided interval whose upper end must lie below.
    """
    low, total = gain.total.sampling_low, gain.total.estimate.value
    usable = [p for p in prompts if p.reference.pilot.size and p.candidate.pilot.size]
    if low is None or total is None or low <= 0 or not usable:
        return None
    gains = np.array([float(p.candidate.pilot.mean() - p.reference.pilot.mean()) for p in usable])
    parsed = np.array([_parsed_gain(p) for p in usable])
    families = [p.family if p.family is not None else f"\0{p.prompt_id}" for p in usable]
    if not _is_surely_negative(parsed - max_share * gains, confidence, families):
        return None
    gained = [one for one, gain in zip(usable, gains, strict=True) if gain > 0]
    how, shown = _repaired_by_arm(gained)
    return Finding(
        "format_repair",
        f"format repair {how}: without truncated and unparsed samples the mean gain is "
        f"{parsed.mean():+.3f} instead of {gains.mean():+.3f}",
        shown,
    )


def _repaired_by_arm(gained: Sequence[PromptRecord]) -> tuple[str, tuple[str, ...]]:
    """How far a format-repair arm shows it, in words, and the prompts on which one is `in`."""
    reaches = [
        (prompt.prompt_id, arm)
        for prompt in gained
        for arm in prompt.evidence.elicitation_arms
        if arm.repairs_format and arm.label == "in"
    ]
    if not reaches:
        return "suspected", ()
    shown = tuple(dict.fromkeys(prompt_id for prompt_id, _ in reaches))
    names = ", ".join(sorted({arm.arm for _, arm in reaches}))
    successes = sum(arm.successes for _, arm in reaches)
    samples = sum(arm.samples for _, arm in reaches)
    words = "prompt" if len(gained) == 1 else "prompts"
    return (
        f"shown by arm {names} on {len(shown)} of {len(gained)} {words} that gained, where {successes} of "
        f"{samples} of its samples succeed",
        shown,
    )


def _parsed_gain(prompt: PromptRecord) -> float:
    rates = []
    for side in (prompt.candidate, prompt.reference):
        parsed = side.pilot[~side.pilot_unusable]
        if not parsed.size:
            return 0.0
        rates.append(float(parsed.mean()))
    return rates[0] - rates[1]


def _is_surely_negative(values: Floats, confidence: float, families: Sequence[str]) -> bool:
    """Whether the mean over the population of prompts has an upper bound below 0; never from few families."""
    if len(set(families)) < LEAST_UNITS:
        return False
    estimates = [Estimate(value=float(value), n=1, unit="nats") for value in values]
    mean = mean_over_prompts(estimates, confidence, families=families).population
    return mean.ci_high is not None and mean.ci_high < 0
