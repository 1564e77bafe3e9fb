"""The k at which the reference's mean pass@k catches up with the candidate's."""

import math
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workers.estimators.counts import clopper_pearson
from workers.estimators.estimate import Estimate
from workers.estimators.families import few_units
from workers.estimators.resampling import expanded_tail, resampled_row_means

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
RESAMPLES: Final = 2000
UNIT: Final = "samples"


def crossing_k(
    reference_successes: Ints,
    reference_ns: Ints,
    candidate_successes: Ints,
    candidate_ns: Ints,
    rng: np.random.Generator,
    confidence: float = 0.95,
    families: ArrayLike | None = None,
) -> Estimate:
    """Smallest k with mean pass@k(reference) >= mean pass@k(candidate), k up to the least n.

    The interval is a percentile bootstrap, its tails expanded (`expanded_tail`), over families, or over
    prompts without them (over the samples, if there is only one of them). Resamples that do not cross count
    as beyond n: an end, or the value, that lies there is None and the status ``censored``.

    No resample shows a kind of prompt that the data lack. Where no prompt favours the reference at any k, or
    none the candidate, the interval is stretched to the crossing if the share that as many families may leave
    unseen (Clopper-Pearson, one-sided) favoured that side outright.

    Args:
        reference_successes: c of each prompt from the fixed-size pilot. Shape ``(M,)``.
        reference_ns: Its n. Shape ``(M,)``.
        candidate_successes: The candidate's c, same prompts. Shape ``(M,)``.
        candidate_ns: Its n. Shape ``(M,)``.
        rng: Source of the resamples.
        confidence: Nominal coverage.
        families: One label per prompt, or None where prompts are independent. Shape ``(M,)``.

    Raises:
        ValueError: Shapes differ or counts are out of range.
    """
    sides = ((reference_successes, reference_ns), (candidate_successes, candidate_ns))
    if len({np.shape(part) for side in sides for part in side}) != 1:
        raise ValueError("both sides need the same prompts")
    prompts = len(reference_successes)
    if prompts == 0:
        return Estimate.undefined("no prompts", UNIT)
    largest = int(min(np.min(reference_ns), np.min(candidate_ns)))
    if largest < 1:
        return Estimate.undefined("a prompt without samples", UNIT, prompts)
    lead = _curves(*sides[0], largest) - _curves(*sides[1], largest)
    value = float(_first_crossing(lead.mean(axis=0)[None, :])[0])
    units = prompts if families is None else len(set(np.array(families).tolist()))
    if units > 1:
        draws = resampled_row_means(lead, rng, RESAMPLES, families)
    else:
        draws = _resampled_samples(sides, largest, rng)
    tail = expanded_tail(units, confidence) if units > 1 else (1 - confidence) / 2
    crossings = _first_crossing(draws)
    low, high = np.quantile(crossings, [tail, 1 - tail], method="inverted_cdf")
    if units > 1:
        unseen = _first_crossing(_with_unseen_kinds(lead, units, confidence))
        low, high = min(low, *unseen, high), max(high, *unseen, low)
    crosses = math.isfinite(value) and math.isfinite(high)
    weak = few_units(units, prompts)
    if units == 1:
        weak = f"one {'prompt' if prompts == 1 else 'family'}: a sampling interval"
    return Estimate.from_interval(
        value,
        min(float(low), value),
        max(float(high), value),
        confidence=confidence,
        n=prompts,
        unit=UNIT,
        reason=weak if crosses else f"does not cross within n = {largest}",
        status="unreliable" if weak and crosses else None,
    )


def pass_at_k_curves(successes: Ints, ns: Ints, largest: int) -> Floats:
    """Unbiased pass@k for k = 1..`largest` of each prompt (Chen et al. 2021). Shape ``(M, largest)``.

    Raises:
        ValueError: A count is out of range or `largest` exceeds an n.
    """
    c, n = np.asarray(successes, dtype=np.float64)[:, None], np.asarray(ns, dtype=np.float64)[:, None]
    if (c < 0).any() or (c > n).any() or (n < largest).any():
        raise ValueError("need 0 <= c <= n and largest <= n")
    drawn = np.arange(largest)
    # P(no success in k) is the product over j < k of (n - c - j)/(n - j); 0 once the failures run out.
    missed: Floats = np.cumprod(np.maximum(n - c - drawn, 0) / (n - drawn), axis=1, dtype=np.float64)
    return 1 - missed


def _curves(successes: Ints, ns: Ints, largest: int) -> Floats:
    return pass_at_k_curves(np.asarray(successes), np.asarray(ns), largest)


def _with_unseen_kinds(lead: Floats, units: int, confidence: float) -> Floats:
    """Mean leads if each absent kind of prompt held what `units` may leave unseen. Shape ``(R, k)``."""
    missed = clopper_pearson(0, units, 2 * confidence - 1)[1]
    absent = [sign for sign in (1.0, -1.0) if lead.any() and not (sign * lead > 0).any()]
    mean = lead.mean(axis=0)
    return np.reshape([(1 - missed) * mean + missed * sign for sign in absent], (-1, mean.size))


def _first_crossing(lead: Floats) -> Floats:
    """First k with a lead >= 0 in each row, +inf without one; a tie within rounding crosses."""
    crossed = lead >= -1e-12
    return np.where(crossed.any(axis=1), crossed.argmax(axis=1) + 1.0, math.inf)


def _resampled_samples(
    sides: tuple[tuple[Ints, Ints], tuple[Ints, Ints]], largest: int, rng: np.random.Generator
) -> Floats:
    """Mean lead when the samples of each prompt are drawn again. Shape ``(RESAMPLES, largest)``."""
    lead = np.zeros((RESAMPLES, largest))
    for sign, (successes, ns) in zip((1.0, -1.0), sides, strict=True):
        for c, n in zip(successes, ns, strict=True):
            counts = rng.binomial(int(n), float(c) / int(n), size=RESAMPLES)
            lead += sign * _curves(counts, np.full(RESAMPLES, n), largest)
    return lead / len(sides[0][0])
