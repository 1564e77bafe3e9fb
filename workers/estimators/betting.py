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

from workers.estimators.scored_round import CANDIDATE, ScoredRound
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


def draws_to_settle(
    rounds: Sequence[ScoredRound], log_mean: float, target: float, *, proposal: str = CANDIDATE
) -> int | None:
    """How many more draws of one proposal make `log_wealth` reach the target if they go on as they went.

    A forecast for planning, never evidence. Per draw the stake of a fraction f grows by the mean of
    ``log(1 - f + f X/m)``, X = 1_C p/q over the draws that the proposal has made; the first fraction to bring
    the whole mixture to the target decides.

    Args:
        rounds: Every round so far.
        log_mean: log m, nats.
        target: Log wealth to reach, nats.
        proposal: Name of the proposal that is drawn from.

    Returns:
        0 if the target is met already; None if no fraction's stake is expected to grow.

    Raises:
        ValueError: log_mean is not finite.
    """
    if log_wealth(rounds, log_mean) >= target:
        return 0
    log_ratios, draws = _drawn_by(rounds, proposal)
    if log_ratios.size == 0:
        return None
    stay = np.log1p(-FRACTIONS)
    won = np.logaddexp(stay[:, None], np.log(FRACTIONS)[:, None] + (log_ratios - log_mean)).sum(axis=1)
    growth = (won + (draws - log_ratios.size) * stay) / draws
    missing = target - math.log(MARKOV_SHARE) - _Stakes.of(rounds, False).by_fraction(log_mean)
    needed = [lacks / per_draw for lacks, per_draw in zip(missing, growth, strict=True) if per_draw > 0.0]
    return max(1, math.ceil(min(needed))) if needed else None


def _drawn_by(rounds: Sequence[ScoredRound], proposal: str) -> tuple[FloatVector, int]:
    """Log p/q of the successes that a proposal drew itself, where finite, and how many draws it made."""
    found, draws = [np.zeros(0)], 0
    for part in rounds:
        if proposal not in part.proposals:
            continue
        place = part.proposals.index(proposal)
        own = part.is_correct & (part.drawn_by == place)
        found.append(part.log_p[own] - part.log_proposals[place, own])
        draws += part.sizes[place]
    ratios = np.concatenate(found)
    return ratios[np.isfinite(ratios)], draws


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
        return log_mean_exp(np.append(self.by_fraction(log_mean), markov))

    def by_fraction(self, log_mean: float) -> FloatVector:
        """Log of the stake of each fraction of the grid, nats. Shape ``(8,)``."""
        stay = np.log1p(-FRACTIONS)
        won = np.logaddexp(stay[:, None], np.log(FRACTIONS)[:, None] + (self.logs - log_mean)).sum(axis=1)
        grown: FloatVector = won + self.failures * stay
        return grown
