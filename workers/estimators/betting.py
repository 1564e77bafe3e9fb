"""Certified lower bounds on a = p(C) by betting on the scored draws of whole rounds.

Under H0: a <= m, with X = w 1_C (`scored_round`), the wealth ``prod (1 + lambda (X_i - m))`` over one round
has mean at most 1 if the sizes n_j were fixed before it, the weights use its own sizes, and one lambda in [0,
1/m) serves all its draws. Proof: let u_j be the proposals' means of X; sum_j n_j u_j / N <= a <= m, and by
the inequality of the means prod_j (1 + lambda (u_j - m))^n_j <= (1 + lambda (a - m))^N <= 1. Single draws
have no such bound (one u_j may exceed m), so the wealth is read at round ends only, and a lambda that changes
along the draws is invalid. Wealth multiplies across rounds, whose sizes may depend on earlier rounds.

With lambda = f/m a factor is ``1 - f + f X/m``, which decreases in m; so does a mixture over a fixed grid of
fractions f of the products over rounds. One more part of the mixture is Markov's: the product over rounds of
(round mean of X)/m, whose mean is at most 1 for any weights. It is what is left where the spread of the
weights makes scoring refuse: the other parts are then given up, not handed over, because whether scoring
refuses depends on the draws, and a choice between e-values that depends on the draws is no e-value.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import optimize

from workers.estimators.scored_round import ScoredRound
from workers.numerics.checks import FloatVector, open_unit
from workers.numerics.logspace import log_mean_exp, log_sum_exp

# Even steps of the logit, 0.02 to 0.95: candidates with b near 0.05 bet small, those near 1 bet large.
FRACTIONS: Final = 1.0 / (1.0 + np.exp(-np.linspace(-4.0, 3.0, 8)))
FRACTIONS.flags.writeable = False


MARKOV_SHARE: Final = 1.0 / (FRACTIONS.size + 1)
"""Markov's part of the mixture: one more stake beside the grid's. It costs the others 0.12 nats."""


def log_wealth(rounds: Sequence[ScoredRound], log_mean: float, *, refused: bool = False) -> float:
    """Log of the wealth against H0: log a <= log_mean, in nats; an e-value at the end of any round.

    Args:
        rounds: Every round so far, in any order; none gives 0. The sizes of a round may depend on earlier
            rounds, never on itself.
        log_mean: log m, nats.
        refused: Give up all but Markov's part.

    Raises:
        ValueError: log_mean is not finite.
    """
    if not math.isfinite(log_mean):
        raise ValueError("log_mean must be finite")
    return _Stakes.of(rounds, refused).log_wealth(log_mean)


def log_lower_bound(rounds: Sequence[ScoredRound], alpha: float, *, refused: bool = False) -> float:
    """``sup {log m : log wealth >= log 1/alpha}`` in nats, at most 0: below log a with chance 1 - alpha.

    Args:
        rounds: As `log_wealth`.
        alpha: Level, in (0, 1).
        refused: As `log_wealth`.

    Returns:
        -inf if no success has positive weight.

    Raises:
        ValueError: alpha is out of range.
    """
    target = -math.log(open_unit(alpha, "alpha"))
    stakes = _Stakes.of(rounds, refused)
    if stakes.logs.size == 0 or (refused and math.isinf(stakes.log_markov)):
        return -math.inf
    # Every X/m is at most 1 from here up, so the wealth is at most 1.
    high = min(float(stakes.logs.max()), 0.0)
    if stakes.log_wealth(high) >= target:
        return high
    step = 1.0
    while stakes.log_wealth(high - step) < target:
        high, step = high - step, 2.0 * step
    # The wealth is convex in log m: a bracketing search needs a dozen steps where halving took thirty.
    return float(optimize.brentq(lambda x: stakes.log_wealth(x) - target, high - step, high, xtol=1e-9))


@dataclass(frozen=True, slots=True)
class _Stakes:
    """What the wealth depends on: logs of the positive X of all rounds, and the number of zeros."""

    logs: FloatVector
    failures: int
    rounds: int
    log_markov: float
    refused: bool

    @classmethod
    def of(cls, rounds: Sequence[ScoredRound], refused: bool) -> "_Stakes":
        each = [part.success_log_weights for part in rounds]
        logs = np.concatenate([np.zeros(0), *each])
        logs = logs[np.isfinite(logs)]
        means = [log_sum_exp(x) - math.log(part.draws) for x, part in zip(each, rounds, strict=True)]
        draws = sum(part.draws for part in rounds)
        return cls(logs, draws - logs.size, len(rounds), sum(means), refused)

    def log_wealth(self, log_mean: float) -> float:
        markov = self.log_markov - self.rounds * log_mean
        if self.refused:
            return math.log(MARKOV_SHARE) + markov
        stay = np.log1p(-FRACTIONS)
        won = np.logaddexp(stay[:, None], np.log(FRACTIONS)[:, None] + (self.logs - log_mean)).sum(axis=1)
        return log_mean_exp(np.append(won + self.failures * stay, markov))
