"""The Pareto shape of the largest importance weights."""

import math

import numpy as np
from numpy.typing import ArrayLike

from workers.numerics.checks import FloatVector, vector

_FEWEST = 5
_RESOLUTION = 1e-4
"""Nats within which two weights are the same: float32 log-probabilities of a completion differ by millionths
from batch to batch, and a tail of such differences would have a shape of its own."""


def pareto_k(log_weights: ArrayLike, n: int) -> float | None:
    """Shape k of a generalised Pareto tail fitted to the largest weights (PSIS; Vehtari et al. 2024, sec. 3).

    The tail is the largest min(n/5, 3 sqrt n) of the n weights, as far as they are positive; k is the
    estimate of Zhang & Stephens (2009), pulled towards 1/2 with the weight of 10 draws. The mean needs k < 1,
    a usable error bar k < min(1 - 1/log10 n, 0.7). It cannot see a mode that no draw visited.

    Args:
        log_weights: The positive weights' logs in nats (-inf is dropped); any common shift cancels.
            Shape ``(m,)``.
        n: All draws, those of weight zero included; at least m.

    Returns:
        None with fewer than 5 weights above the tail's cut-off, or all equal: there is no tail to fit.
        Weights within 1e-4 nats of each other count as equal.

    Raises:
        ValueError: A weight is NaN or +inf, or n < m.
    """
    logs = vector(log_weights, "log_weights")
    if n < logs.size:
        raise ValueError("n counts every draw")
    logs = np.sort(logs[np.isfinite(logs)])
    tail = math.ceil(min(0.2 * n, 3.0 * math.sqrt(n)))
    if logs.size < _FEWEST:
        return None
    log_cut = logs[-tail - 1] if logs.size > tail else -math.inf
    largest = logs[-tail:]
    largest = largest[largest - log_cut > _RESOLUTION]
    if largest.size < _FEWEST or largest[-1] - largest[0] <= _RESOLUTION:
        return None
    return _generalised_pareto_shape(np.exp(largest - logs[-1]) - math.exp(log_cut - logs[-1]))


def _generalised_pareto_shape(excess: FloatVector) -> float:
    """Posterior mean of Zhang & Stephens (2009), eqs 5-9, for sorted positive exceedances."""
    n = excess.size
    points = 30 + int(math.sqrt(n))
    grid = 1.0 - np.sqrt(points / (np.arange(1, points + 1) - 0.5))
    theta = 1.0 / excess[-1] + grid / (3.0 * excess[int(n / 4 + 0.5) - 1])
    shapes = np.log1p(-theta[:, None] * excess).mean(axis=1)
    profile = n * (np.log(-theta / shapes) - shapes - 1.0)
    weights = np.exp(profile - profile.max())
    best = float(np.sum(theta * weights) / weights.sum())
    shape = float(np.log1p(-best * excess).mean())
    return (n * shape + 10 * 0.5) / (n + 10)
