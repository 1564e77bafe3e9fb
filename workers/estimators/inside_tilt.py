"""The tilt term (1-c)·KL(p_β*|S‖p|S): what the signal asked for inside the support S.

With Λ(β) = log E_{p|S}[e^(β r)] and m = E_{q|S}[r] it is (1-c)·(β* m - Λ(β*)), the Legendre transform of Λ
at m, where β* solves Λ'(β*) = m. It is the mean over y ~ q of 1_S·(β* r - Λ(β*)); by the envelope theorem
errors of β* enter at second order only.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.estimators.bootstrap_weights import BootstrapWeights
from workers.estimators.counts import clopper_pearson
from workers.estimators.estimate import Estimate
from workers.estimators.partition import dense_log_partition, log_partition, success_ends
from workers.estimators.sample_mean import mean_interval, standard_error
from workers.estimators.term import Term
from workers.estimators.tilt import (
    LARGEST_RELATIVE_VARIANCE,
    bernoulli_kl,
    bernoulli_range,
    matched_estimate,
    matched_inverse_temperature,
    matched_tilt,
    tilted_moments,
)

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class InsideTilt:
    """The tilt term of one reading of S.

    Attributes:
        term: Nats; its value is not yet held to what KL leaves for it. A text says why there is none.
        beta: β*, 1/reward.
        per_sample: 1_S·(β* r - Λ(β*)) of each candidate sample, whose mean is the plug-in. Shape ``(n,)``.
        reference_error: Standard error that the reference's samples add, nats; None if unknown.
    """

    term: Term | str
    beta: Estimate
    per_sample: Floats
    reference_error: float | None


def missing_tilt(reason: str, n: int) -> InsideTilt:
    """A tilt that does not exist, and why."""
    return InsideTilt(reason, Estimate.undefined(reason, "1/reward", n), np.zeros(n), None)


def binary_tilt(is_success: Bools, within: Bools | None, reference: Estimate, error: float) -> InsideTilt:
    """(1-c)·d(b_S‖a_S) for a verifier.

    Args:
        is_success: r(y) = 1 of candidate samples. Shape ``(n,)``.
        within: Which of them lie in S; None if S is everything. Shape ``(n,)``.
        reference: a_S = p(C|S), with an interval.
        error: What the candidate's two intervals (of c and of b_S) may miss together.
    """
    n = is_success.size
    inside = np.ones(n, dtype=np.bool_) if within is None else within
    kept = int(inside.sum())
    if n < 2:
        return missing_tilt("fewer than two candidate samples", n)
    if kept == 0:
        nothing = Term(0.0, 0.0, math.inf, 0.0)
        beta = Estimate.undefined("no candidate sample inside the support", "1/reward", n)
        return InsideTilt(nothing, beta, np.zeros(n), 0.0)
    successes = int((is_success & inside).sum())
    share, b = kept / n, successes / kept
    share_box, level = ((1.0, 1.0), 1 - error)
    if within is not None:
        share_box, level = clopper_pearson(kept, n, 1 - error / 2), 1 - error / 2
    box = (*success_ends(reference), *clopper_pearson(successes, kept, level))
    beta = matched_estimate(reference, b, box, n, error)
    low, high = bernoulli_range(*box)
    bounds = share_box[0] * low, share_box[1] * high if high > 0 else 0.0
    a = reference.value
    cost = math.inf if a is None else bernoulli_kl(b, a)
    if a is None or math.isinf(cost):
        return InsideTilt(Term(None, *bounds, None), beta, np.zeros(n), None)
    slope = matched_inverse_temperature(a, b)
    if math.isinf(slope):  # p|S conditioned on the extreme: every sample inside pays the same
        per_sample = np.where(inside, cost, 0.0)
    else:
        per_sample = np.where(inside, slope * is_success - log_partition(a, slope), 0.0)
    spread = reference.std_error or 0.0
    from_reference = share * abs(b - a) / (a * (1 - a)) * spread if 0 < a < 1 else 0.0
    value = share * cost - _binary_bias(a, b, spread, n, share)
    term = Term(value, *bounds, math.hypot(standard_error(per_sample), from_reference))
    return InsideTilt(term, beta, per_sample, from_reference)


def dense_tilt(
    rewards: Floats,
    within: Bools | None,
    reference: Floats,
    weights: BootstrapWeights,
    error: float,
    *,
    reward_range: tuple[float, float] = (-math.inf, math.inf),
) -> InsideTilt:
    """(1-c)·(β* m - Λ(β*)) for any reward.

    The ends take the transform at both ends of an interval of m, each with an interval of Λ at its own β.
    Beyond the rewards that the reference's samples show nothing can be said, so an end may be missing.

    Args:
        rewards: r of candidate samples. Shape ``(n,)``.
        within: Which of them lie in S; None if S is everything. Shape ``(n,)``.
        reference: r of a fixed number of reference samples that lie in S. Shape ``(n_p,)``.
        weights: Of the Bayesian bootstrap.
        error: What all intervals may miss together.
        reward_range: Known bounds of r.
    """
    inside = np.ones(rewards.size, dtype=np.bool_) if within is None else within
    n, kept = rewards.size, rewards[inside]
    if n < 2 or reference.size < 2:
        side = "candidate" if n < 2 else "reference"
        return missing_tilt(f"fewer than two {side} samples inside the support", n)
    if kept.size < 2:
        return InsideTilt(
            Term(0.0, 0.0, math.inf, 0.0),
            Estimate.undefined("fewer than two candidate samples inside the support", "1/reward", n),
            np.zeros(n),
            0.0,
        )
    share, mean = kept.size / n, float(kept.mean())
    share_box = (1.0, 1.0) if within is None else clopper_pearson(kept.size, n, 1 - error / 4)
    ends = mean_interval(kept, weights, 1 - error / 4)
    targets = [min(max(end, reward_range[0]), reward_range[1]) for end in (ends[0], mean, ends[1])]
    costs = [_cost(reference, m, weights, error / 2, reward_range) for m in targets]
    overlap = _overlap(reference, ends, weights, error / 4)
    low = 0.0 if overlap else min(cost.low for cost in costs)
    bounds = share_box[0] * low, share_box[1] * max(cost.high for cost in costs)
    slope, cost = matched_tilt(reference, mean)
    beta = Estimate.from_interval(
        slope,
        *sorted(matched_tilt(reference, m)[0] for m in targets[::2]),
        confidence=1 - error,
        n=n,
        unit="1/reward",
        reason="the candidate's mean reward lies at or beyond the end of the reference's samples",
    )
    if math.isinf(cost):
        return InsideTilt(Term(None, *bounds, None), beta, np.zeros(n), None)
    return _dense(rewards, inside, reference, slope, cost, bounds, beta, share)


def _dense(
    rewards: Floats,
    inside: Bools,
    reference: Floats,
    slope: float,
    cost: float,
    bounds: tuple[float, float],
    beta: Estimate,
    share: float,
) -> InsideTilt:
    kept = rewards[inside]
    if math.isinf(slope):
        extreme = reference.max() if slope > 0 else reference.min()
        hits = float(np.mean(reference == extreme))
        from_reference = share * math.sqrt((1 - hits) / hits / reference.size)
        per_sample = np.where(inside, cost, 0.0)
        bias = min((1 - hits) / hits / reference.size, LARGEST_RELATIVE_VARIANCE) / 2
    else:
        log_z = slope * float(kept.mean()) - cost
        per_sample = np.where(inside, slope * rewards - log_z, 0.0)
        weights = np.exp(slope * reference - float((slope * reference).max()))
        relative = standard_error(weights) / float(weights.mean())
        from_reference = share * relative
        response, variance = tilted_moments(reference, slope)
        bias = min(relative**2, LARGEST_RELATIVE_VARIANCE) / 2
        if variance > 0:  # noise of both mean rewards that the matching sets equal
            noise = standard_error(kept) ** 2
            noise += float(np.sum((weights * (reference - response)) ** 2)) / float(weights.sum()) ** 2
            bias += min(noise / variance, LARGEST_RELATIVE_VARIANCE) / 2
    error = math.hypot(standard_error(per_sample), from_reference)
    return InsideTilt(Term(share * (cost - bias), *bounds, error), beta, per_sample, from_reference)


def _cost(
    reference: Floats,
    mean: float,
    weights: BootstrapWeights,
    error: float,
    reward_range: tuple[float, float],
) -> Term:
    """β m - Λ(β) at the β that reaches m, with the interval that Λ's leaves."""
    slope, cost = matched_tilt(reference, mean)
    if math.isinf(cost):
        return Term(None, 0.0, math.inf, None)
    if math.isinf(slope):
        extreme = reference.max() if slope > 0 else reference.min()
        hits = int(np.sum(reference == extreme))
        low, high = clopper_pearson(hits, reference.size, 1 - error)
        return Term(cost, -math.log(high), -math.log(low), None)
    found = dense_log_partition(reference, slope, weights, reward_range=reward_range, confidence=1 - error)
    low = -math.inf if found.ci_high is None else slope * mean - found.ci_high
    high = math.inf if found.ci_low is None else slope * mean - found.ci_low
    return Term(cost, max(low, 0.0), high, None)


def _overlap(reference: Floats, ends: tuple[float, float], weights: BootstrapWeights, error: float) -> bool:
    """Whether the mean rewards of both sides may be equal: then the tilt may be nothing."""
    low, high = mean_interval(reference, weights, 1 - error)
    return low <= ends[1] and ends[0] <= high


def _binary_bias(a: float, b: float, spread: float, n: int, share: float) -> float:
    """Second-order bias of the plug-in d(b‖a), from b and from a."""
    bias = 1 / (2 * n) if 0 < b < 1 and 0 < a < 1 else 0.0
    if 0 < a < 1:
        successes = min((spread / a) ** 2, LARGEST_RELATIVE_VARIANCE)
        failures = min((spread / (1 - a)) ** 2, LARGEST_RELATIVE_VARIANCE)
        bias += share * (b * successes + (1 - b) * failures) / 2
    return bias
