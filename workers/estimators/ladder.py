"""Free energies between the rungs of a ladder of laws: reference, checkpoints, tilts.

Each rung k has an unnormalised density e^(u_k(y)) with log Z_k = log ∫ e^(u_k). Every draw y_n of every rung
is scored under all of them. MBAR (Shirts & Chodera 2008, J. Chem. Phys. 129, 124105) solves

    log Z_k = log Σ_n e^(u_k(y_n)) / Σ_j N_j e^(u_j(y_n) - log Z_j),

the least-variance estimate of its kind; BAR (Bennett 1976) is the case of two rungs. A rung without draws of
its own, such as a tilt, takes part with N_j = 0. Rungs that are language models are normalised, so a log Z of
theirs other than 0 is a fault of the scores.
"""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from workers.estimators.estimate import Estimate
from workers.numerics.logspace import log_sum_exp_along

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NATS: Final = "nats"
STEPS: Final = 200
#: Newton's step, or the self-consistent one's, below which the equations are solved; nats.
CONVERGED: Final = 1e-12
#: Neighbouring rungs below this overlap are not connected in practice (Klimovich et al. 2015).
LEAST_OVERLAP: Final = 0.03
DISCONNECTED: Final = "rungs of the ladder hardly overlap: their draws do not connect them"


class Ladder(NamedTuple):
    """What MBAR found.

    Attributes:
        log_z: log Z_k - log Z_0, nats. Shape ``(K,)``.
        covariance: Of `log_z`. Shape ``(K, K)``.
        overlap: Mean over the draws of rung j of the chance that rung k made them. Shape ``(K, K)``.
    """

    log_z: Floats
    covariance: Floats
    overlap: Floats


def mbar(log_densities: Floats, sizes: Sequence[int]) -> Ladder:
    """Solve MBAR for draws of a fixed number from every rung.

    Args:
        log_densities: u_k(y_n), nats; -inf where a rung excludes a draw. Shape ``(K, N)``.
        sizes: Draws N_k of each rung, 0 for one without; rung 0 needs some. Their sum is N.

    Raises:
        ValueError: Shapes differ, a density is NaN or +inf, rung 0 has no draw, or a draw has density zero
            under every rung that was drawn from.
        ArithmeticError: The equations were not solved, as where rungs do not overlap at all.
    """
    u, n = np.asarray(log_densities, dtype=np.float64), np.asarray(sizes, dtype=np.int64)
    _check(u, n)
    drawn = np.flatnonzero(n)
    f = np.zeros(n.size)
    for _ in range(STEPS):
        step = _step(u[drawn], n[drawn], f[drawn])
        f[drawn] += step
        if float(np.abs(step).max()) < CONVERGED:
            break
    else:
        raise ArithmeticError("the MBAR equations were not solved: the rungs may not overlap")
    log_mixture = _log_mixture(u[drawn], n[drawn], f[drawn])
    f = log_sum_exp_along(u - log_mixture, axis=1)
    weights = np.exp(u - log_mixture - f[:, None])  # each row sums to 1
    shares: Floats = (weights @ weights.T) * n[None, :]
    return Ladder(f - f[0], _covariance(weights, n), shares)


def mbar_estimates(log_densities: Floats, sizes: Sequence[int], confidence: float = 0.95) -> list[Estimate]:
    """Estimates log Z_k - log Z_0 of `mbar`, nats, with normal intervals.

    A rung whose overlap with all that was drawn from elsewhere is below 3 % is ``unreliable``.

    Args:
        log_densities: As `mbar`.
        sizes: As `mbar`.
        confidence: Nominal coverage of each interval.

    Raises:
        ValueError: As `mbar`.
    """
    total = int(sum(sizes))
    try:
        found = mbar(log_densities, sizes)
    except ArithmeticError as error:
        return [Estimate.undefined(str(error), NATS, total) for _ in sizes]
    z = float(stats.norm.ppf(0.5 + confidence / 2))
    estimates = []
    for k in range(len(sizes)):
        value = float(found.log_z[k])
        variance = found.covariance[0, 0] + found.covariance[k, k] - 2 * found.covariance[0, k]
        spread = math.sqrt(max(float(variance), 0.0))
        others = [float(found.overlap[k, j]) for j in range(len(sizes)) if j != k]
        weak = k > 0 and max(others, default=0.0) < LEAST_OVERLAP
        estimates.append(
            Estimate(
                value=value,
                std_error=spread,
                ci_low=value - z * spread,
                ci_high=value + z * spread,
                confidence=confidence,
                n=total,
                unit=NATS,
                status="unreliable" if weak else "ok",
                reason=DISCONNECTED if weak else "",
            )
        )
    return estimates


def bar(log_ratio_first: Floats, log_ratio_second: Floats, confidence: float = 0.95) -> Estimate:
    """Bennett's acceptance ratio: log Z_1 - log Z_0 of two rungs; nats. It is 0 for two language models.

    Args:
        log_ratio_first: u_1(y) - u_0(y) at draws of rung 0; ±inf allowed. Shape ``(n_0,)``.
        log_ratio_second: The same at draws of rung 1. Shape ``(n_1,)``.
        confidence: Nominal coverage.

    Raises:
        ValueError: A ratio is NaN, or a side excludes a draw of its own.
    """
    first, second = np.asarray(log_ratio_first, float), np.asarray(log_ratio_second, float)
    if first.size == 0 or second.size == 0:
        return Estimate.undefined("no draws of one side", NATS, first.size + second.size)
    if np.isposinf(first).any() or np.isneginf(second).any():
        raise ValueError("a side excludes a draw of its own")
    ratio = np.concatenate([first, second])
    # Of a draw that only rung 1 can make, rung 0's density is 0 and the other may be anything.
    zero = np.where(np.isposinf(ratio), -np.inf, 0.0)
    one = np.where(np.isposinf(ratio), 0.0, ratio)
    return mbar_estimates(np.stack([zero, one]), [first.size, second.size], confidence)[1]


def _log_mixture(u: Floats, n: Ints, f: Floats) -> Floats:
    """Log Σ_j N_j e^(u_j - f_j) at every draw. Shape ``(N,)``."""
    return log_sum_exp_along(u - f[:, None] + np.log(n)[:, None], axis=0)


def _step(u: Floats, n: Ints, f: Floats) -> Floats:
    """Newton's step of the convex problem where it lowers the gradient, else the self-consistent one."""
    gradient, shares, log_mixture = _gradient(u, n, f)
    hessian = np.diag(shares.sum(axis=1)) - shares @ shares.T
    newton = np.zeros(n.size)
    newton[1:] = np.linalg.lstsq(hessian[1:, 1:], -gradient[1:], rcond=None)[0]
    if float(np.abs(newton).max(initial=0.0)) < 1.0:
        after, _, _ = _gradient(u, n, f + newton)
        if float(np.abs(after).max()) <= float(np.abs(gradient).max()):
            return newton
    plain = log_sum_exp_along(u - log_mixture, axis=1) - f
    step: Floats = plain - plain[0]
    return step


def _gradient(u: Floats, n: Ints, f: Floats) -> tuple[Floats, Floats, Floats]:
    """N_k minus the draws that rung k explains, its share of each draw, and `_log_mixture`.

    Shapes ``(K,)``, ``(K, N)`` and ``(N,)``.
    """
    log_mixture = _log_mixture(u, n, f)
    shares = np.exp(u - f[:, None] + np.log(n)[:, None] - log_mixture)
    gradient: Floats = n - shares.sum(axis=1)
    return gradient, shares, log_mixture


def _covariance(weights: Floats, n: Ints) -> Floats:
    """Asymptotic covariance of log Z: W'(I - W N W')⁺W by way of the singular values of W."""
    u, s, _ = np.linalg.svd(weights, full_matrices=False)
    inner = np.eye(s.size) - np.diag(s) @ u.T @ np.diag(n.astype(np.float64)) @ u @ np.diag(s)
    covariance: Floats = u @ np.diag(s) @ np.linalg.pinv(inner, rcond=1e-10) @ np.diag(s) @ u.T
    return covariance


def _check(u: Floats, n: Ints) -> None:
    if u.ndim != 2 or n.shape != u.shape[:1] or int(n.sum()) != u.shape[1] or (n < 0).any():
        raise ValueError("needs one density per rung and draw, and as many draws as the sizes say")
    if n.size == 0 or n[0] == 0:
        raise ValueError("the first rung needs draws: log Z is relative to it")
    if np.isnan(u).any() or np.isposinf(u).any():
        raise ValueError("log-densities must not hold NaN or +inf")
    if np.isneginf(u[n > 0].max(axis=0)).any():
        raise ValueError("a draw has density zero under every rung that was drawn from")
