"""Partition function, free energies and gap of the tilt p_β ∝ p·exp(β r), with energy E = -r.

F_β(q) = E_q[E] + KL(q‖p)/β has its minimum F*_β = -log Z_β / β at p_β, and the gap F_β(q) - F*_β is
KL(q‖p_β)/β. Free energies and gaps are in units of reward; log Z and KL are in nats; β is in 1/reward.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from workers.estimators.bootstrap_weights import BootstrapWeights
from workers.estimators.estimate import Estimate
from workers.estimators.sample_mean import (
    LARGEST_SHARE,
    SINGLE,
    mean_interval,
    standard_error,
)

Floats = NDArray[np.float64]
NATS: Final = "nats"
LARGEST_EXPONENT: Final = 700.0


def log_partition(a: float, beta: float) -> float:
    """Return log Z_β = log(1 - a + a·e^β) of a binary reward with p(r = 1) = a; nats.

    Raises:
        ValueError: `a` is outside [0, 1] or `beta` is not finite.
    """
    if not 0 <= a <= 1 or not math.isfinite(beta):
        raise ValueError("a lies in [0, 1] and beta is finite")
    if beta > 30:  # e^β - 1 and e^β agree in float64 well before e^β overflows
        return float(np.logaddexp(math.log1p(-a), math.log(a) + beta)) if 0 < a < 1 else a * beta
    # 1 - a + a·e^β without cancelling 1 - a against it.
    return math.log1p(a * math.expm1(beta)) if a < 1 else beta


def equilibrium(log_z: float, beta: float) -> float:
    """F*_β = -log Z_β / β, the least free energy, reward; `beta` > 0."""
    return -log_z / positive(beta)


def free_energy(beta: float, mean_energy: float, kl: float) -> float:
    """F_β(q) = E_q[E] + KL(q‖p)/β, reward; `beta` > 0, `kl` = KL(q‖p) in nats."""
    return mean_energy + kl / positive(beta)


def gap(beta: float, mean_energy: float, kl: float, log_z: float) -> float:
    """F_β(q) - F*_β = KL(q‖p_β)/β, reward; never negative for exact arguments."""
    return free_energy(beta, mean_energy, kl) - equilibrium(log_z, beta)


def binary_log_partition(reference: Estimate, beta: float) -> Estimate:
    """Return log Z_β from an estimate of a = p(r = 1): the interval is the monotone image of a's.

    Args:
        reference: a; a missing end of its interval stands for 0 or 1.
        beta: Finite inverse temperature.
    """
    if reference.value is None:
        return Estimate.undefined(reference.reason or "no success probability", NATS, reference.n)
    # (e^β - 1)/Z in a form whose exponent does not overflow with β.
    exponent = max(beta, 0.0) - log_partition(reference.value, beta)
    slope = -math.expm1(-abs(beta)) * math.exp(min(exponent, LARGEST_EXPONENT))
    error = None if reference.std_error is None else slope * reference.std_error
    return Estimate.from_interval(
        log_partition(reference.value, beta),
        *sorted(log_partition(end, beta) for end in success_ends(reference)),
        confidence=reference.confidence or 0.95,
        n=reference.n,
        unit=NATS,
        std_error=error,
        reason=reference.reason,
        status=reference.status,
    )


def dense_log_partition(
    rewards: Floats,
    beta: float,
    weights: BootstrapWeights,
    *,
    reward_range: tuple[float, float] = (-math.inf, math.inf),
    confidence: float = 0.95,
) -> Estimate:
    """Estimate log Z_β = log E_p[exp(β r)] by log-mean-exp, nats; biased low by Var(e^βr)/(2 n Z²).

    Args:
        rewards: r of samples y ~ p. Shape ``(n,)``.
        beta: Finite inverse temperature.
        weights: Of the Bayesian bootstrap.
        reward_range: Known bounds of r; they bound the interval.
        confidence: Nominal coverage.

    Raises:
        ValueError: A reward is not finite or outside its range, or `beta` is not finite.
    """
    r = np.asarray(rewards, dtype=np.float64)
    bottom, top = reward_range
    if not np.isfinite(r).all() or not math.isfinite(beta) or (r < bottom).any() or (r > top).any():
        raise ValueError("rewards must be finite and in range, and beta finite")
    if r.size == 0:
        return Estimate.undefined("no samples", NATS)
    bounds = sorted((_scaled(beta, bottom), _scaled(beta, top)))
    shift = float((beta * r).max())
    factors = np.exp(beta * r - shift)
    value = shift + math.log(float(factors.mean()))
    if r.size == 1:
        return Estimate(value=value, n=1, unit=NATS, status="unreliable", reason=SINGLE)
    low, high = mean_interval(factors, weights, confidence)
    log_low = shift + math.log(low) if low > 0 else -math.inf
    ends = max(min(log_low, value), bounds[0]), min(max(shift + math.log(high), value), bounds[1])
    heavy = float(factors.max()) > LARGEST_SHARE * float(factors.sum())
    return Estimate.from_interval(
        value,
        *ends,
        confidence=confidence,
        n=r.size,
        unit=NATS,
        std_error=standard_error(factors) / float(factors.mean()),
        reason="one sample carries most of Z" if heavy else "",
        status="unreliable" if heavy else None,
    )


def thermodynamic_integration(
    inverse_temperatures: Floats,
    mean_rewards: Floats,
    std_errors: Floats,
    confidence: float = 0.95,
    *,
    independent: bool = True,
) -> Estimate:
    """Estimate log Z_β = ∫₀^β E_{p_t}[r] dt from mean rewards measured at each t; nats.

    The trapezoid is the value. E_{p_t}[r] increases in t (its derivative is a variance), so the left and
    right sums bracket the integral: they are the interval, widened by the sampling error.

    Args:
        inverse_temperatures: Increasing grid from 0 to β > 0. Shape ``(m,)``, m >= 2.
        mean_rewards: E_{p_t}[r] at each grid point. Shape ``(m,)``.
        std_errors: Their standard errors. Shape ``(m,)``.
        confidence: Coverage of the interval's sampling part.
        independent: Whether each point has samples of its own; else their errors add up as if they moved
            together, which is the most they can.

    Raises:
        ValueError: The grid does not start at 0 or does not increase, or shapes differ.
    """
    t, steps = np.asarray(inverse_temperatures, dtype=np.float64), np.diff(inverse_temperatures)
    if t.size < 2 or t[0] != 0 or (steps <= 0).any() or not t.shape == mean_rewards.shape == std_errors.shape:
        raise ValueError("the grid starts at 0, increases, and has one mean and error per point")
    z = float(stats.norm.ppf(0.5 + confidence / 2))
    padded = np.concatenate([[0.0], steps, [0.0]])
    left, right, middle = padded[1:], padded[:-1], (padded[1:] + padded[:-1]) / 2

    def spread(weights: Floats) -> float:
        return float(np.sqrt(weights**2 @ std_errors**2) if independent else weights @ std_errors)

    value, error = float(middle @ mean_rewards), spread(middle)
    sums = [(float(side @ mean_rewards), spread(side)) for side in (left, right)]
    return Estimate(
        value=value,
        std_error=error,
        ci_low=min(value, *(total - z * apart for total, apart in sums)),
        ci_high=max(value, *(total + z * apart for total, apart in sums)),
        confidence=confidence,
        n=t.size,
        unit=NATS,
    )


def success_ends(reference: Estimate) -> tuple[float, float]:
    """Interval of a probability, a missing end being the trivial one."""
    low = 0.0 if reference.ci_low is None else reference.ci_low
    return low, 1.0 if reference.ci_high is None else reference.ci_high


def _scaled(beta: float, reward: float) -> float:
    return 0.0 if beta == 0 else beta * reward


def positive(beta: float) -> float:
    """`beta` if 0 < beta < inf; free energies divide by it."""
    if not 0 < beta < math.inf:
        raise ValueError("free energies need a positive, finite inverse temperature")
    return beta
