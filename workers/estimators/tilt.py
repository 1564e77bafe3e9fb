"""Matched tilts p_β ∝ p·exp(β r): the β that reaches a mean reward, and its cost in nats."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import entr, logsumexp, rel_entr

from workers.estimators.estimate import Estimate

Floats = NDArray[np.float64]

#: Relative variance beyond which a second-order bias correction is no longer one (about 4 successes).
LARGEST_RELATIVE_VARIANCE: Final = 0.25
#: Relative rounding of a mean of float64 rewards.
ROUNDING: Final = 1e-12


def bernoulli_kl(b: float, a: float) -> float:
    """d(b‖a) = b·log(b/a) + (1-b)·log((1-b)/(1-a)), nats; +inf where a excludes what b holds.

    Raises:
        ValueError: A probability lies outside [0, 1].
    """
    if not (0 <= a <= 1 and 0 <= b <= 1):
        raise ValueError("probabilities lie in [0, 1]")
    if a == b:
        return 0.0
    return max(float(rel_entr(b, a) + rel_entr(1 - b, 1 - a)), 0.0)


def binary_entropy(b: float) -> float:
    """H_b = -b·log b - (1-b)·log(1-b), nats."""
    return float(entr(b) + entr(1 - b))


def logit(a: float) -> float:
    """log(a/(1-a)), with its limits -inf at 0 and +inf at 1."""
    if a <= 0:
        return -math.inf
    return math.inf if a >= 1 else math.log(a) - math.log1p(-a)


def matched_inverse_temperature(a: float, b: float) -> float:
    """β* = logit b - logit a, at which the tilt of p has success probability b; 1/reward.

    ±inf where only a limit reaches b (b in {0, 1}), or nothing does (a in {0, 1}); 0 for a = b.
    """
    return 0.0 if a == b else logit(b) - logit(a)


def matched_tilt(
    rewards: Floats, mean_reward: float, log_weights: Floats | None = None
) -> tuple[float, float]:
    """Solve E_{p_β}[r] = `mean_reward` for any reward and return (β*, KL(p_β*‖p) in nats).

    p is the weighted sample, or an enumerated distribution. Beyond the range of `rewards` nothing is reached
    and the cost is +inf; at an end of the range β* is ±inf and p_β* is p conditioned on the extreme reward.

    Args:
        rewards: r of each atom. Shape ``(n,)``.
        mean_reward: Target, E_q[r].
        log_weights: Log-probability of each atom up to a constant; equal weights if None. Shape ``(n,)``.

    Raises:
        ValueError: There is no atom, or a number is not finite (-inf log-weights are allowed).
    """
    logw = np.zeros(rewards.size) if log_weights is None else np.asarray(log_weights, dtype=np.float64)
    if not np.isfinite(rewards).all() or not math.isfinite(mean_reward) or np.isnan(logw).any():
        raise ValueError("rewards and the target must be finite")
    if not (logw > -math.inf).any():
        raise ValueError("there must be an atom")
    kept = logw > -math.inf
    r, logw = rewards[kept], logw[kept] - logsumexp(logw[kept])
    low, high = float(r.min()), float(r.max())
    for extreme in (low, high):  # the mean of equal rewards may be a rounding apart from them
        if abs(mean_reward - extreme) <= ROUNDING * (1 + abs(extreme)):
            mean_reward = extreme
    if mean_reward < low or mean_reward > high:
        return math.copysign(math.inf, mean_reward - high), math.inf
    if low == high:
        return 0.0, 0.0
    for extreme, beta in ((low, -math.inf), (high, math.inf)):
        if mean_reward == extreme:
            return beta, max(-float(logsumexp(logw[r == extreme])), 0.0)
    beta = _solve(r, logw, mean_reward)
    log_partition = float(logsumexp(logw + beta * (r - mean_reward)))
    return beta, max(-log_partition, 0.0)


def tilted_moments(rewards: Floats, beta: float, log_weights: Floats | None = None) -> tuple[float, float]:
    """Mean E_{p_β}[r] and variance Var_{p_β}(r) of the reward under the tilt: response and heat capacity.

    Args:
        rewards: r of each atom of p. Shape ``(n,)``, n >= 1.
        beta: Finite inverse temperature, 1/reward.
        log_weights: Log-probability of each atom up to a constant; equal weights if None. Shape ``(n,)``.
    """
    exponents = beta * rewards if log_weights is None else beta * rewards + log_weights
    weights = np.exp(exponents - float(exponents.max()))
    weights /= weights.sum()
    mean = float(weights @ rewards)
    return mean, float(weights @ (rewards - mean) ** 2)


def bernoulli_range(a_low: float, a_high: float, b_low: float, b_high: float) -> tuple[float, float]:
    """Least and greatest d(b‖a) over a box: d is convex, so its maximum is at a corner."""
    if b_low > a_high:
        low = bernoulli_kl(b_low, a_high)
    elif b_high < a_low:
        low = bernoulli_kl(b_high, a_low)
    else:
        low = 0.0
    return low, max(bernoulli_kl(b, a) for a in (a_low, a_high) for b in (b_low, b_high))


def matched_estimate(
    reference: Estimate, b: float, box: tuple[float, float, float, float], n: int, error: float
) -> Estimate:
    """β* = logit b - logit a with the image of the box; an infinite value or end is censored."""
    a_low, a_high, b_low, b_high = box
    if reference.value is None:
        return Estimate.undefined(reference.reason, "1/reward", n)
    spent = 0.0 if reference.confidence is None else 1 - reference.confidence
    return Estimate.from_interval(
        matched_inverse_temperature(reference.value, b),
        logit(b_low) - logit(a_high) if b_low > 0 and a_high < 1 else -math.inf,
        logit(b_high) - logit(a_low) if b_high < 1 and a_low > 0 else math.inf,
        confidence=1 - error - spent,
        n=n,
        unit="1/reward",
        reason="the samples leave the rate of one side at 0 or 1",
    )


def _solve(r: Floats, logw: Floats, target: float) -> float:
    """Root of the increasing function E_{p_β}[r] - target (its derivative is Var_{p_β}(r) > 0)."""

    def excess(beta: float) -> float:
        tilted = logw + beta * (r - target)
        weights = np.exp(tilted - tilted.max())
        return float(weights @ (r - target) / weights.sum())

    edge = 1.0 / float(np.ptp(r))
    while excess(edge) < 0:
        edge *= 2
    start = -1.0 / float(np.ptp(r))
    while excess(start) > 0:
        start *= 2
    return float(brentq(excess, start, edge, xtol=1e-14, rtol=8.9e-16, maxiter=500))
