"""The escape term: escape = E_q[1_O·log q/p] + (1-c)·log((1-c)/(1-p(O))), nats spent on leaving the support.

With x = 1-c and s = 1-p(O), x·log(x/s) = x·log(t/s) + x - t + D(x, t) for any t > 0, where the Bregman
remainder D(x, t) = x·log(x/t) - x + t is >= 0. So escape is D plus the mean of one number per sample, h. It
never needs log p(O).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.estimators.counts import clopper_pearson
from workers.estimators.estimate import Estimate
from workers.estimators.partition import success_ends

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class EscapeParts:
    """Escape as the mean of one number per candidate sample, and what that mean leaves out; nats.

    Attributes:
        per_sample: h. Shape ``(n,)``.
        value: The plug-in, not yet held to [0, KL].
        above: What the upper end of h's mean must be raised by.
        below: What its lower end must be lowered by.
        reference_error: Standard error that p(O) adds.
    """

    per_sample: Floats
    value: float
    above: float
    below: float
    reference_error: float


def escape_parts(is_out: Bools, log_ratio: Floats, reference: Estimate, error: float) -> EscapeParts | str:
    """Escape of candidate samples y ~ q into O.

    Args:
        is_out: Which samples lie in O. Shape ``(n,)``, n >= 2.
        log_ratio: log q(y) - log p(y), finite within O, nats. Shape ``(n,)``.
        reference: p(O), with an interval.
        error: What the interval of c may miss.

    Returns:
        The parts, or the reason why there are none.
    """
    n, p_out = is_out.size, reference.value
    if p_out is None or p_out >= 1:
        return reference.reason or "the reference always succeeds"
    x = 1 - float(is_out.mean())
    t = max(x, 0.5 / n)
    h = np.where(is_out, log_ratio, math.log(t) - math.log1p(-p_out) + 1) - t
    c_low, c_high = clopper_pearson(int(is_out.sum()), n, 1 - error)
    remainder = max(_bregman(1 - c_high, t), _bregman(1 - c_low, t))
    low, high = success_ends(reference)
    # A smaller p(O) lowers -x·log(1-p(O)), a larger one raises it.
    down = (1 - c_low) * (math.log1p(-low) - math.log1p(-p_out))
    up = (1 - c_low) * (math.log1p(-p_out) - math.log1p(-high)) if high < 1 else math.inf
    spread = x / (1 - p_out) * (reference.std_error or 0.0)
    return EscapeParts(h, float(h.mean()) + _bregman(x, t), remainder + up, down, spread)


def _bregman(x: float, t: float) -> float:
    """x·log(x/t) - x + t >= 0, zero at x = t."""
    return t if x <= 0 else max(x * math.log(x / t) - x + t, 0.0)
