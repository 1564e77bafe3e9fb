"""Certified lower bounds on a = p(C) by betting on the scored draws of whole rounds.

Under H0: a <= m, with X = w 1_C (`importance`), the wealth ``prod (1 + lambda (X_i - m))`` over one round has
mean at most 1 if n_p and n_q were fixed before it, the weights use its own sizes, and one lambda in [0, 1/m)
serves all its draws. Proof: let the pools' means of X be u and v; (n_p u + n_q v)/N <= a <= m, and by the
inequality of the means (1 + lambda (u - m))^n_p (1 + lambda (v - m))^n_q <= (1 + lambda (a - m))^N <= 1.
Single draws have no such bound (v may exceed m), so the wealth is read at round ends only, and a lambda that
changes along the draws is invalid.

With lambda = f/m a factor is ``1 - f + f X/m``, which decreases in m; so does a mixture over a fixed grid of
fractions f of the products over rounds. It is the wealth used here.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from workers.estimators.importance import ScoredRound
from workers.numerics.checks import FloatVector, open_unit
from workers.numerics.logspace import log_mean_exp

# Even steps of the logit, 0.02 to 0.95: candidates with b near 0.05 bet small, those near 1 bet large.
FRACTIONS: Final = 1.0 / (1.0 + np.exp(-np.linspace(-4.0, 3.0, 8)))
FRACTIONS.flags.writeable = False


def log_wealth(rounds: Sequence[ScoredRound], log_mean: float) -> float:
    """Log of the wealth against H0: log a <= log_mean, in nats; an e-value at the end of any round.

    Args:
        rounds: Every round so far, in any order; none gives 0. The sizes of a round may depend on earlier
            rounds, never on itself.
        log_mean: log m, nats.

    Raises:
        ValueError: log_mean is not finite.
    """
    if not math.isfinite(log_mean):
        raise ValueError("log_mean must be finite")
    return _log_wealth(*_outcomes(rounds), log_mean)


def log_lower_bound(rounds: Sequence[ScoredRound], alpha: float) -> float:
    """``sup {log m : log wealth >= log 1/alpha}`` in nats, at most 0: below log a with chance 1 - alpha.

    Returns:
        -inf if no success has positive weight.

    Raises:
        ValueError: alpha is out of range.
    """
    logs, failures = _outcomes(rounds)
    target = -math.log(open_unit(alpha, "alpha"))
    if logs.size == 0:
        return -math.inf
    # Every X/m is at most 1 from here up, so the wealth is at most 1.
    high = min(float(logs.max()), 0.0)
    if _log_wealth(logs, failures, high) >= target:
        return high
    step = 1.0
    while _log_wealth(logs, failures, high - step) < target:
        step *= 2.0
    low = high - step
    while high - low > 1e-9:
        middle = 0.5 * (low + high)
        if _log_wealth(logs, failures, middle) >= target:
            low = middle
        else:
            high = middle
    return low


def _outcomes(rounds: Sequence[ScoredRound]) -> tuple[FloatVector, int]:
    """Logs of the positive X of all rounds, each by its own sizes, and the number of zeros."""
    logs = np.concatenate([np.zeros(0), *(part.success_log_weights() for part in rounds)])
    logs = logs[np.isfinite(logs)]
    return logs, sum(part.n_p + part.n_q for part in rounds) - logs.size


def _log_wealth(logs: FloatVector, failures: int, log_mean: float) -> float:
    stay = np.log1p(-FRACTIONS)
    won = np.logaddexp(stay[:, None], np.log(FRACTIONS)[:, None] + (logs - log_mean)).sum(axis=1)
    return log_mean_exp(won + failures * stay)
