"""Point estimates of the reference's chance of success from scored draws, and how far to trust them.

The mean of ``w 1_C`` (`scored_round`) over draws of fixed sizes is unbiased for the part of a = p(C) that the
proposals can reach: a candidate that covers one of several correct modes makes it too low with a
perfect-looking effective sample size. Hence points and lower bounds only, never an upper end.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from workers.estimators.counts import clopper_pearson
from workers.estimators.estimate import Estimate, Status
from workers.estimators.pareto import pareto_k
from workers.estimators.scored_round import REFERENCE, ScoredRound, pool
from workers.numerics.checks import FloatVector, finite_vector, vector
from workers.numerics.logspace import log_sum_exp

MAX_LOG_SPREAD = 3.0
_MIN_ESS = 10.0
_MAX_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """How far the weights ``w 1_C`` can be trusted. None of these sees a mode that no draw visited.

    Attributes:
        draws: N, failures included.
        successes: Draws with ``w 1_C > 0``.
        ess: Effective sample size ``(sum w)^2 / sum w^2``.
        max_share: Largest weight as a share of their sum.
        pareto_k: PSIS shape; None if there are too few weights to fit.
        log_spread: Range (largest minus least) of ``log w``, nats, over these; 0 with fewer than 2. A range
            grows with the number of successes.
        log_spread_sd: Sample standard deviation of the same, which does not grow; 0 with fewer than 2.
    """

    draws: int
    successes: int
    ess: float
    max_share: float
    pareto_k: float | None
    log_spread: float
    log_spread_sd: float

    @property
    def refused(self) -> bool:
        """Whether scoring gives way to sampling: a log-spread (standard deviation) above 3 nats.

        The range would refuse more often the more successes there are: at a deviation of 0.7 nats, where
        the bound is 0.3 nats below the truth, 60 successes already span more than 3.
        """
        return self.log_spread_sd > MAX_LOG_SPREAD

    def grade(self) -> tuple[Status, str]:
        """Status of an estimate made of these weights, and the reason if it is not ``ok``."""
        if self.successes == 0:
            return "undefined", "no scored success has positive probability under the reference"
        limit = min(1.0 - 1.0 / math.log10(max(self.draws, 2)), 0.7)
        faults = []
        if self.refused:
            faults.append(f"log-spread {self.log_spread_sd:.1f} nats above {MAX_LOG_SPREAD:.0f}")
        if self.ess < _MIN_ESS:
            faults.append(f"effective sample size {self.ess:.1f} below {_MIN_ESS:.0f}")
        if self.max_share > _MAX_SHARE:
            faults.append(f"one draw carries {self.max_share:.0%} of the weight")
        if self.pareto_k is not None and self.pareto_k > limit:
            faults.append(f"Pareto k {self.pareto_k:.2f} above {limit:.2f}")
        return ("unreliable", "; ".join(faults)) if faults else ("ok", "")


def diagnostics(rounds: Sequence[ScoredRound]) -> Diagnostics:
    """Diagnostics of ``w 1_C`` over the run, rounds pooled as for the point estimate.

    Raises:
        ValueError: No rounds.
    """
    groups = pool(rounds)
    logs = _log_weights(groups)
    logs = logs[np.isfinite(logs)]
    weights = np.exp(logs - logs.max()) if logs.size else logs
    total, draws = float(weights.sum()), _draws(groups)
    several = logs.size > 1
    return Diagnostics(
        draws=draws,
        successes=logs.size,
        ess=total**2 / float((weights**2).sum()) if logs.size else 0.0,
        max_share=1.0 / total if logs.size else 0.0,
        pareto_k=pareto_k(logs, draws),
        log_spread=float(np.ptp(logs)) if several else 0.0,
        log_spread_sd=_spread(logs),
    )


def refuses(rounds: Sequence[ScoredRound]) -> bool:
    """`Diagnostics.refused` alone, without the cost of the other diagnostics; False without a round."""
    return bool(rounds) and _spread(_log_weights(pool(rounds))) > MAX_LOG_SPREAD


def has_bounded_weights(rounds: Sequence[ScoredRound]) -> bool:
    """Whether every draw is pooled with draws of the reference, so that no weight exceeds N/n_p.

    Then the pooled mean is at least about as sharp as the rate of those n_p draws alone: its variance is at
    most E[(w 1_C)^2]/N <= (N/n_p) a/N = a/n_p, theirs is a (1 - a)/n_p.
    """
    return bool(rounds) and all(
        REFERENCE in part.proposals and part.sizes[part.proposals.index(REFERENCE)] > 0
        for part in pool(rounds)
    )


def pooled_success(rounds: Sequence[ScoredRound]) -> Estimate:
    """Point estimate of a = p(C), unit ``probability``; no interval, for there is no upper end.

    The standard error is stratified by proposal, for proposals have different means. n counts the draws.

    Raises:
        ValueError: No rounds.
    """
    log_value, relative = _pooled(pool(rounds))
    grade = diagnostics(rounds)
    status, reason = grade.grade()
    if status == "undefined":
        return Estimate.undefined(reason, "probability", grade.draws)
    value = math.exp(log_value)
    error = None if relative is None else value * relative
    return Estimate(
        value=value, std_error=error, n=grade.draws, unit="probability", status=status, reason=reason
    )


def pooled_log_success(rounds: Sequence[ScoredRound]) -> Estimate:
    """Point estimate of log a in nats, standard error by the delta method; holds where a underflows.

    Raises:
        ValueError: No rounds.
    """
    log_value, relative = _pooled(pool(rounds))
    grade = diagnostics(rounds)
    status, reason = grade.grade()
    if status == "undefined":
        return Estimate.undefined(reason, "nats", grade.draws)
    return Estimate(
        value=log_value, std_error=relative, n=grade.draws, unit="nats", status=status, reason=reason
    )


def pooled_elbo(rounds: Sequence[ScoredRound], confidence: float = 0.95) -> Estimate:
    """`elbo` with the draws' own mixture as the proposal: its log-ratios are the log-weights.

    Raises:
        ValueError: No rounds.
    """
    groups = pool(rounds)
    return elbo(_log_weights(groups), _draws(groups), confidence)


def elbo(log_ratios: ArrayLike, n_q: int, confidence: float = 0.95) -> Estimate:
    """``log b + E_{q|C}[log p - log q] <= log a``, in nats: the light-tailed fallback.

    Low by KL(q|C || p|C). The lower end takes Clopper-Pearson for b and a t-interval for the mean, each at
    half of 1 - confidence one-sided; the second part is approximate, so this grades nothing as evidence.

    Args:
        log_ratios: ``log p - log q`` of the successes, -inf allowed. Shape ``(c,)``.
        n_q: Draws of the proposal q, fixed in advance.
        confidence: Of the one-sided lower end.

    Returns:
        Undefined without a success, or with reason ``truncated_support`` if p is zero on one.

    Raises:
        ValueError: More successes than draws.
    """
    ratios = vector(log_ratios, "log_ratios")
    c = ratios.size
    low_b = clopper_pearson(c, n_q, confidence)[0]
    if c == 0:
        return Estimate.undefined("no success of the candidate", "nats", n_q)
    if np.isneginf(ratios).any():
        return Estimate.undefined("truncated_support", "nats", n_q)
    value = math.log(c / n_q) + float(finite_vector(ratios, "log_ratios").mean())
    if c == 1:
        return Estimate(value=value, n=n_q, unit="nats")
    error = float(ratios.std(ddof=1)) / math.sqrt(c)
    quantile = float(special.stdtrit(c - 1, 0.5 * (1.0 + confidence)))
    low = math.log(low_b) + float(ratios.mean()) - quantile * error
    total = math.hypot(error, math.sqrt((1.0 - c / n_q) / c))
    return Estimate(value=value, std_error=total, ci_low=low, confidence=confidence, n=n_q, unit="nats")


def _log_weights(groups: Sequence[ScoredRound]) -> FloatVector:
    return np.concatenate([part.success_log_weights for part in groups])


def _spread(log_weights: FloatVector) -> float:
    """Sample standard deviation of the finite log-weights, nats; 0 with fewer than 2."""
    finite = log_weights[np.isfinite(log_weights)]
    return float(finite.std(ddof=1)) if finite.size > 1 else 0.0


def _draws(groups: Sequence[ScoredRound]) -> int:
    return sum(part.draws for part in groups)


def _pooled(groups: Sequence[ScoredRound]) -> tuple[float, float | None]:
    """Log of the mean of ``w 1_C`` over all draws, and its relative standard error.

    Each group's mean of ``w 1_C`` estimates a, and so does the mean of all draws.
    """
    draws, log_sum = _draws(groups), log_sum_exp(_log_weights(groups))
    if math.isinf(log_sum):
        return -math.inf, None
    variance = 0.0
    for group in groups:
        shares, drawn_by = np.exp(group.success_log_weights - log_sum), group.success_drawn_by()
        for proposal, size in enumerate(group.sizes):
            part = shares[drawn_by == proposal]
            if size == 1:
                return log_sum - math.log(draws), None
            if size:
                mean = float(part.sum()) / size
                squares = float(((part - mean) ** 2).sum()) + (size - part.size) * mean**2
                variance += size * squares / (size - 1)
    return log_sum - math.log(draws), math.sqrt(variance)
