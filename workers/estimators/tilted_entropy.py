"""What the entropy of the samples would be if post-training had only tilted the reference."""

import math

import numpy as np
from numpy.typing import NDArray

from workers.numerics.checks import BoolVector, mask

Floats = NDArray[np.float64]


def tilted_entropy(log_p: Floats, is_success: BoolVector, b: float) -> float | None:
    """H(p_beta*) in nats, p_beta* the tilt of p whose success rate is b, from samples of p.

    A tilt changes the odds of success and nothing within either class, so with a = p(C)

        H(p_beta*) = h(b) + b·H(p|C) + (1-b)·H(p|not C),   H(p|C) = -E_{p|C}[log p] + log a,

    h the binary entropy. A candidate whose own entropy lies far below has collapsed: it covers less of either
    class than the reference does.

    Args:
        log_p: Log p(y) of samples y ~ p, nats. Shape ``(n,)``.
        is_success: Their success. Shape ``(n,)``.
        b: Success rate of the tilt, in [0, 1].

    Returns:
        None where samples of a class that the tilt needs are missing.

    Raises:
        ValueError: Shapes differ, or b is out of range.
    """
    values, success = np.asarray(log_p, dtype=np.float64), mask(is_success, "is_success")
    if values.shape != success.shape or not 0.0 <= b <= 1.0:
        raise ValueError("one success per sample, and b in [0, 1]")
    entropy = 0.0
    for weight, chosen in ((b, success), (1.0 - b, ~success)):
        if weight == 0.0:
            continue
        if not chosen.any():
            return None
        within = float(-values[chosen].mean()) + math.log(float(chosen.mean()))
        entropy += weight * (within - math.log(weight))
    return entropy
