"""The free-energy difference of success between two checkpoints of one run, by Bennett's acceptance ratio.

Confining a law p_k to C costs -log p_k(C) nats. From one checkpoint to the next that price falls by
log p_1(C) - log p_0(C), the log-ratio of the normalisers of p_0 and p_1 on C, which `ladder.bar` finds from
the successes of both alone: their failures, and how many there are, do not enter. So it is a check on the two
success rates that does not share their counting error, and it exists where p_0 and p_1 overlap on C only.
"""

import math
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from workers.estimators.estimate import Estimate
from workers.estimators.ladder import NATS, bar

Floats = NDArray[np.float64]

LEAST_SUCCESSES: Final = 8
"""Of each side: with fewer the asymptotic error of BAR is too small."""

FEW: Final = f"fewer than {LEAST_SUCCESSES} successes of one of the two"
APART: Final = "the successes of the two hardly overlap: they do not connect their laws"


def success_step(log_ratio_first: Floats, log_ratio_second: Floats, confidence: float = 0.95) -> Estimate:
    """By how much the price of success falls from one law to the next: log p_1(C) - log p_0(C), nats.

    The interval allows for draws that share their random numbers, as those of two checkpoints do at one seed:
    the errors of the two sides may then add, so the independent one is widened by the square root of 2. Its
    quantile is Student's with the successes of the smaller side.

    Args:
        log_ratio_first: log p_1(y) - log p_0(y) at the successes that p_0 drew; -inf allowed. Shape
            ``(c_0,)``.
        log_ratio_second: The same at those that p_1 drew; +inf allowed. Shape ``(c_1,)``.
        confidence: Nominal coverage.

    Returns:
        Undefined with fewer than `LEAST_SUCCESSES` of a side, or where the two hardly overlap.

    Raises:
        ValueError: A ratio is NaN, or a side excludes a draw of its own.
    """
    fewest = min(log_ratio_first.size, log_ratio_second.size)
    n = int(log_ratio_first.size + log_ratio_second.size)
    if fewest < LEAST_SUCCESSES:
        return Estimate.undefined(FEW, NATS, n)
    found = bar(log_ratio_first, log_ratio_second, confidence)
    if found.value is None or found.std_error is None or found.status != "ok":
        return Estimate.undefined(APART, NATS, n)
    error = math.sqrt(2.0) * found.std_error
    half = float(special.stdtrit(fewest - 1, 0.5 + confidence / 2)) * error
    return replace(found, std_error=error, ci_low=found.value - half, ci_high=found.value + half)
