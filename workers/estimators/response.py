"""The response of a reference to tilting: E_{p_β}[r] and its derivative, the heat capacity Var_{p_β}(r).

log Z_β is the integral of the response from 0 to β. For a verifier the heat capacity peaks at β = -logit a,
where the tilt turns failures into successes: about the price of success, for a rare one.
"""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from workers.estimators.estimate import Estimate
from workers.estimators.partition import NATS, success_ends, thermodynamic_integration
from workers.estimators.tilt import logit

Floats = NDArray[np.float64]

REWARD: Final = "reward"
REWARD_SQUARED: Final = "reward²"
#: Below this many effective samples a reweighted mean is a few samples' affair.
LEAST_ESS: Final = 10.0
LARGEST_LOGIT: Final = 700.0
THIN: Final = "fewer than 10 effective samples at this inverse temperature"


class ResponsePoint(NamedTuple):
    """The tilted reference at one inverse temperature.

    Attributes:
        inverse_temperature: β, 1/reward.
        mean_reward: E_{p_β}[r], reward.
        heat_capacity: Var_{p_β}(r), reward squared.
    """

    inverse_temperature: float
    mean_reward: Estimate
    heat_capacity: Estimate


def binary_response(reference: Estimate, grid: Sequence[float]) -> list[ResponsePoint]:
    """The response of a verifier's reward: σ(logit a + β) =: s, and s·(1-s).

    Args:
        reference: a = p(r = 1), with an interval.
        grid: Finite inverse temperatures, 1/reward.
    """
    return [ResponsePoint(beta, *_binary_point(reference, beta)) for beta in grid]


def dense_response(
    rewards: Floats, log_weights: Floats | None, grid: Sequence[float], confidence: float = 0.95
) -> list[ResponsePoint]:
    """The response of any reward, by reweighting samples; self-normalised, with delta-method errors.

    Args:
        rewards: r of samples. Shape ``(n,)``.
        log_weights: log of p over the law that drew each sample, up to a constant, nats; equal weights if
            None, for samples of p. Pooled samples with balance-heuristic weights steady large β.
            Shape ``(n,)``.
        grid: Finite inverse temperatures, 1/reward.
        confidence: Nominal coverage of each interval, on its own.

    Raises:
        ValueError: A reward is not finite or shapes differ.
    """
    base = np.zeros(rewards.size) if log_weights is None else log_weights
    if base.shape != rewards.shape or not np.isfinite(rewards).all() or np.isnan(base).any():
        raise ValueError("one finite reward and one weight per sample")
    if not (base > -math.inf).any():
        nothing = Estimate.undefined("no samples", REWARD), Estimate.undefined("no samples", REWARD_SQUARED)
        return [ResponsePoint(beta, *nothing) for beta in grid]
    z = float(stats.norm.ppf(0.5 + confidence / 2))
    return [ResponsePoint(beta, *_dense_point(rewards, base, beta, z, confidence)) for beta in grid]


def integrated_log_partition(points: Sequence[ResponsePoint], upper: Estimate) -> Estimate:
    """Log Z_β by thermodynamic integration of a response up to its last inverse temperature; nats.

    All points reweight the same samples, so their errors are added as if they moved together. Pooled samples
    may miss a mode of p and then say too little, so the upper end is that of reference samples alone.

    Args:
        points: The response on a grid that starts at 0.
        upper: log Z_β at the same β from reference samples alone, whose upper end is kept.
    """
    means = [point.mean_reward for point in points]
    if any(mean.value is None or mean.std_error is None for mean in means):
        return Estimate.undefined("the response has no value somewhere on the way", NATS, upper.n)
    found = thermodynamic_integration(
        np.array([point.inverse_temperature for point in points]),
        np.array([mean.value for mean in means], dtype=np.float64),
        np.array([mean.std_error for mean in means], dtype=np.float64),
        upper.confidence or 0.95,
        independent=False,
    )
    value, low = found.value or 0.0, found.ci_low
    thin = next((mean for mean in means if mean.status == "unreliable"), None)
    return Estimate.from_interval(
        value,
        -math.inf if low is None else low,
        math.inf if upper.ci_high is None else max(upper.ci_high, value),
        confidence=upper.confidence or 0.95,
        n=upper.n,
        unit=NATS,
        std_error=found.std_error,
        reason="" if thin is None else thin.reason,
        status=None if thin is None else "unreliable",
    )


def _binary_point(reference: Estimate, beta: float) -> tuple[Estimate, Estimate]:
    a = reference.value
    if a is None:
        reason = reference.reason
        undefined = Estimate.undefined
        return undefined(reason, REWARD, reference.n), undefined(reason, REWARD_SQUARED, reference.n)
    ends = success_ends(reference)
    rate, (low, high) = _tilted(a, beta), (_tilted(end, beta) for end in ends)
    # dσ(logit a + β)/da = s(1-s)/(a(1-a)), and the heat capacity's slope is that times 1-2s.
    slope = rate * (1 - rate) / (a * (1 - a)) if 0 < a < 1 else None
    error = None if slope is None or reference.std_error is None else slope * reference.std_error
    capacities = [rate * (1 - rate) for rate in (low, high)]
    most = 0.25 if low <= 0.5 <= high else max(capacities)
    weak = None if reference.status in ("ok", "censored") else reference.status

    def estimate(value: float, low: float, high: float, error: float | None, unit: str) -> Estimate:
        return Estimate.from_interval(
            value,
            min(low, value),
            max(high, value),
            confidence=reference.confidence or 0.95,
            n=reference.n,
            unit=unit,
            std_error=error,
            reason=reference.reason,
            status=weak,
        )

    capacity_error = None if error is None else abs(1 - 2 * rate) * error
    return (
        estimate(rate, low, high, error, REWARD),
        estimate(rate * (1 - rate), min(capacities), most, capacity_error, REWARD_SQUARED),
    )


def _tilted(a: float, beta: float) -> float:
    """Success probability of the tilt by β."""
    if a in (0.0, 1.0):
        return a
    position = min(max(logit(a) + beta, -LARGEST_LOGIT), LARGEST_LOGIT)
    return 1 / (1 + math.exp(-position))


def _dense_point(
    rewards: Floats, log_weights: Floats, beta: float, z: float, confidence: float
) -> tuple[Estimate, Estimate]:
    exponents = beta * rewards + log_weights
    weights = np.exp(exponents - float(exponents.max()))
    weights /= weights.sum()
    mean = float(weights @ rewards)
    squares = (rewards - mean) ** 2
    variance = float(weights @ squares)
    thin = 1 / float(weights @ weights) < LEAST_ESS

    def estimate(value: float, error: float, unit: str, floor: float) -> Estimate:
        return Estimate(
            value=value,
            std_error=error,
            ci_low=max(value - z * error, floor),
            ci_high=value + z * error,
            confidence=confidence,
            n=rewards.size,
            unit=unit,
            status="unreliable" if thin else "ok",
            reason=THIN if thin else "",
        )

    mean_error = float(np.linalg.norm(weights * (rewards - mean)))
    variance_error = float(np.linalg.norm(weights * (squares - variance)))
    return (
        estimate(mean, mean_error, REWARD, float(rewards.min())),
        estimate(variance, variance_error, REWARD_SQUARED, 0.0),
    )
