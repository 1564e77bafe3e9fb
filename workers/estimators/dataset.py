"""Data-set figures: means of per-prompt estimates, for these prompts and for the population of prompts."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from workers.estimators.estimate import Estimate
from workers.estimators.families import few_units, linearised
from workers.estimators.sample_mean import mean_estimate

#: With more unreliable prompts than this share, their mean is unreliable too.
UNRELIABLE_SHARE: Final = 0.1


class PromptMean(NamedTuple):
    """A mean over prompts.

    Attributes:
        population: The mean, with an interval for the population the prompts were drawn from (it holds their
            samples' noise too); `n` counts prompts. For one prompt: that prompt's sampling interval.
        sampling_std_error: Standard error for this very set of prompts; None if a prompt has none.
    """

    population: Estimate
    sampling_std_error: float | None


def mean_over_prompts(
    estimates: Sequence[Estimate],
    confidence: float = 0.95,
    *,
    least: float = -math.inf,
    most: float = math.inf,
    families: Sequence[str] | None = None,
) -> PromptMean:
    """Mean of one figure over prompts, with the interval of `sample_mean.mean_interval` over their families.

    A family of prompts is one draw from the population: with S_f the sum and m_f the number of its M prompts,
    the mean is the ratio ΣS_f/Σm_f, and the interval is that of the F linearised values
    mean + F·(S_f - mean·m_f)/M. Where every prompt is a family of its own these are the prompts' values.

    Prompts without a value are left out, counted in the reason, and make the status ``unreliable``: what is
    missing is seldom missing at random.

    Args:
        estimates: One per prompt, all in one unit.
        confidence: Nominal coverage of the population interval.
        least: Known lower bound of the figure: no end lies below.
        most: Known upper bound of the figure: no end lies above.
        families: One label per estimate, a prompt without a family having one of its own; None if all have.

    Raises:
        ValueError: Units differ, or there is not one family per estimate.
    """
    if not estimates:
        return PromptMean(Estimate.undefined("no prompts"), None)
    if len({estimate.unit for estimate in estimates}) != 1:
        raise ValueError("a mean over prompts needs one unit")
    if families is not None and len(families) != len(estimates):
        raise ValueError("one family per estimate")
    unit = estimates[0].unit
    kept = [estimate for estimate in estimates if estimate.value is not None]
    excluded = _excluded(estimates)
    if not kept:
        return PromptMean(Estimate.undefined(excluded, unit), None)
    values = np.array([estimate.value for estimate in kept], dtype=np.float64)
    labels = None
    if families is not None:
        labels = [f for f, estimate in zip(families, estimates, strict=True) if estimate.value is not None]
    units = linearised(values, labels)
    mean = mean_estimate(units, None, unit=unit, confidence=confidence)
    only = kept[0] if len(kept) == 1 else None
    weakness = _weakness(mean, values.size, only=only is not None)
    reasons = [text for text in (excluded, _unreliable(kept), weakness) if text]
    ends = only or mean
    return PromptMean(
        Estimate(
            value=mean.value,
            std_error=ends.std_error,
            ci_low=None if ends.ci_low is None else min(max(ends.ci_low, least), most),
            ci_high=None if ends.ci_high is None else max(min(ends.ci_high, most), least),
            confidence=ends.confidence,
            n=len(kept),
            unit=unit,
            status="unreliable" if reasons else "ok",
            reason="; ".join(reasons),
        ),
        _sampling_error(kept),
    )


def _weakness(mean: Estimate, prompts: int, *, only: bool) -> str:
    if only:
        return "one prompt: a sampling interval"
    if mean.n == prompts:
        return mean.reason.replace("sample", "prompt")
    if mean.n == 1:
        return "one family has no error bar"
    return few_units(mean.n, prompts) or mean.reason.replace("samples", "families").replace(
        "sample", "family"
    )


def _sampling_error(kept: Sequence[Estimate]) -> float | None:
    errors = [estimate.std_error for estimate in kept if estimate.std_error is not None]
    if len(errors) < len(kept):
        return None
    return math.hypot(*errors) / len(kept)  # squares of errors overflow at high inverse temperatures


def _excluded(estimates: Sequence[Estimate]) -> str:
    counts = Counter(estimate.reason for estimate in estimates if estimate.value is None)
    if not counts:
        return ""
    detail = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
    return f"{counts.total()} of {len(estimates)} prompts excluded: {detail}"


def _unreliable(kept: Sequence[Estimate]) -> str:
    weak = sum(estimate.status == "unreliable" for estimate in kept)
    return f"{weak} of {len(kept)} prompts unreliable" if weak > UNRELIABLE_SHARE * len(kept) else ""
