"""Selection among many prompts by e-BH."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workers.numerics.checks import BoolVector, open_unit, vector

FloatMatrix = NDArray[np.float64]
BoolMatrix = NDArray[np.bool_]


def e_bh(log_e: ArrayLike, alpha: float) -> BoolVector:
    """The e-BH selection (Wang & Ramdas 2022): which of M null hypotheses to reject.

    ``k* = max{k : E_(k) >= M/(alpha k)}``, E_(k) the k-th largest; the k* largest are rejected. The false
    discovery *rate* is at most alpha under any dependence and any stopping rule. The chance of a single
    false discovery is not bounded by alpha.

    Args:
        log_e: Log e-values in nats, -inf allowed; one per tested prompt, none left out. Shape ``(M,)``.
        alpha: Level, in (0, 1).

    Returns:
        True where selected. Shape ``(M,)``.

    Raises:
        ValueError: A NaN or +inf, or alpha out of range.
    """
    values = vector(log_e, "log_e")
    open_unit(alpha, "alpha")
    m = values.size
    if m == 0:
        return np.zeros(0, dtype=np.bool_)
    levels = math.log(m / alpha) - np.log(np.arange(1, m + 1))
    passing = np.flatnonzero(np.sort(values)[::-1] >= levels)
    if passing.size == 0:
        return np.zeros(m, dtype=np.bool_)
    chosen: BoolVector = values >= levels[passing[-1]]
    return chosen


def e_bh_rows(log_e: FloatMatrix, alpha: float) -> BoolMatrix:
    """`e_bh` of every row, all at once.

    Args:
        log_e: Log e-values in nats, -inf allowed. Shape ``(R, M)``, M >= 1.
        alpha: Level, in (0, 1).

    Returns:
        True where selected. Shape ``(R, M)``.
    """
    m = log_e.shape[1]
    levels = math.log(m / open_unit(alpha, "alpha")) - np.log(np.arange(1, m + 1))
    passing = np.sort(log_e, axis=1)[:, ::-1] >= levels
    last = m - 1 - passing[:, ::-1].argmax(axis=1)
    chosen: BoolMatrix = (log_e >= levels[last, None]) & passing.any(axis=1, keepdims=True)
    return chosen


def log_target(m: int, k_hat: int, alpha: float) -> float:
    """``log(M / (alpha k_hat))`` in nats: what each e-value must reach for k_hat selections among M.

    Args:
        m: Prompts tested, at least 1.
        k_hat: Selections expected; 0 is read as 1.
        alpha: Level, in (0, 1).

    Raises:
        ValueError: An argument is out of range.
    """
    if m < 1 or not 0 <= k_hat <= m:
        raise ValueError("needs m >= 1 and 0 <= k_hat <= m")
    return math.log(m / max(k_hat, 1)) - math.log(open_unit(alpha, "alpha"))
