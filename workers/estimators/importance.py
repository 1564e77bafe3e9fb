"""Chance of success under the reference p from draws of p and of the candidate q, by scoring.

Both pools are weighted by the balance heuristic (Veach & Guibas 1995): a draw y counts
``w(y) = p(y) / ((n_p p(y) + n_q q(y)) / N)``, N = n_p + n_q, if it is a success and 0 if not. Only successes
need scoring. For sizes fixed in advance the mean of ``w 1_C`` is unbiased for the part of a = p(C) that the
pools can reach: a candidate that covers one of several correct modes makes it too low with a perfect-looking
effective sample size. Hence points and lower bounds only, never an upper end.
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
from workers.numerics.checks import BoolVector, FloatVector, finite_vector, mask, open_unit, vector
from workers.numerics.logspace import log_sum_exp

MAX_LOG_SPREAD = 3.0
_MIN_ESS = 10.0
_MAX_SHARE = 0.2


def balance_log_weights(log_p: ArrayLike, log_q: ArrayLike, n_p: int, n_q: int) -> FloatVector:
    """``log w``, in nats: -inf where p is zero, at most log(N/n_p) everywhere.

    Args:
        log_p: Log-probability of each draw under the reference, -inf allowed. Shape ``(m,)``.
        log_q: The same under the candidate. Shape ``(m,)``.
        n_p: Draws of the reference in the round.
        n_q: Draws of the candidate in the round.

    Raises:
        ValueError: Shapes that differ, no draws, or a draw that no pool could have made.
    """
    p, q = vector(log_p, "log_p"), vector(log_q, "log_q")
    if p.shape != q.shape or n_p < 0 or n_q < 0 or n_p + n_q == 0:
        raise ValueError("needs one log_q per log_p, and at least one draw")
    log_n_p = math.log(n_p) if n_p else -math.inf
    log_n_q = math.log(n_q) if n_q else -math.inf
    mixture = np.logaddexp(log_n_p + p, log_n_q + q)
    if np.isneginf(mixture).any():
        raise ValueError("a draw has probability zero under every pool that was drawn from")
    weights: FloatVector = math.log(n_p + n_q) + p - mixture
    return weights


@dataclass(frozen=True, slots=True)
class ScoredRound:
    """The draws of one round of one prompt, of sizes fixed before the round.

    Draws that are not listed count as failures; every success must be listed, failures may be.

    Attributes:
        log_p: Log-probability under the reference, nats. Shape ``(m,)``.
        log_q: Log-probability under the candidate, nats. Shape ``(m,)``.
        is_correct: Whether the draw succeeded. Shape ``(m,)``.
        from_candidate: Who drew it. Shape ``(m,)``.
        n_p: Draws of the reference, unlisted ones included; may be 0.
        n_q: Draws of the candidate, unlisted ones included.

    Raises:
        ValueError: Shapes that differ, more draws than n_p or n_q, or a draw with probability zero under the
            model that drew it.
    """

    log_p: FloatVector
    log_q: FloatVector
    is_correct: BoolVector
    from_candidate: BoolVector
    n_p: int
    n_q: int

    def __post_init__(self) -> None:
        """Check, and copy, the arrays."""
        p, q = vector(self.log_p, "log_p"), vector(self.log_q, "log_q")
        correct, candidate = mask(self.is_correct, "is_correct"), mask(self.from_candidate, "from_candidate")
        if not p.shape == q.shape == correct.shape == candidate.shape:
            raise ValueError("the arrays of a round have one shape")
        drawn_q = int(candidate.sum())
        if drawn_q > self.n_q or p.size - drawn_q > self.n_p or self.n_p + self.n_q == 0:
            raise ValueError("a round lists no more draws than it made, and made at least one")
        if np.isneginf(np.where(candidate, q, p)).any():
            raise ValueError("a draw has probability zero under the model that drew it")
        for name, array in (
            ("log_p", p),
            ("log_q", q),
            ("is_correct", correct),
            ("from_candidate", candidate),
        ):
            object.__setattr__(self, name, array)

    def success_log_weights(self) -> FloatVector:
        """``log w`` of the successes, by this round's own sizes. Shape ``(successes,)``."""
        return balance_log_weights(self.log_p, self.log_q, self.n_p, self.n_q)[self.is_correct]


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """How far the weights ``w 1_C`` can be trusted. None of these sees a mode that no draw visited.

    Attributes:
        draws: N, failures included.
        successes: Draws with ``w 1_C > 0``.
        ess: Effective sample size ``(sum w)^2 / sum w^2``.
        max_share: Largest weight as a share of their sum.
        pareto_k: PSIS shape; None if there are too few weights to fit.
        log_spread: Range (largest minus least) of ``log p - log q``, nats, over the candidate's successes
            with p > 0; 0 with fewer than 2. A range grows with the number of successes.
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


def pool(rounds: Sequence[ScoredRound]) -> ScoredRound:
    """All rounds as one, for the whole-run point estimate (MBAR with known constants; Shirts & Chodera 2008).

    Never for bounds: sizes that were decided along the way make its mean only nearly unbiased.

    Raises:
        ValueError: No rounds.
    """
    if not rounds:
        raise ValueError("there is no round to pool")
    return ScoredRound(
        log_p=np.concatenate([part.log_p for part in rounds]),
        log_q=np.concatenate([part.log_q for part in rounds]),
        is_correct=np.concatenate([part.is_correct for part in rounds]),
        from_candidate=np.concatenate([part.from_candidate for part in rounds]),
        n_p=sum(part.n_p for part in rounds),
        n_q=sum(part.n_q for part in rounds),
    )


def diagnostics(scored: ScoredRound) -> Diagnostics:
    """Diagnostics of ``w 1_C`` over one round, or over the run if it was pooled."""
    logs = scored.success_log_weights()
    logs = logs[np.isfinite(logs)]
    weights = np.exp(logs - logs.max()) if logs.size else logs
    total, draws = float(weights.sum()), scored.n_p + scored.n_q
    seen = scored.is_correct & scored.from_candidate & np.isfinite(scored.log_p)
    ratios = scored.log_p[seen] - scored.log_q[seen]
    several = ratios.size > 1
    return Diagnostics(
        draws=draws,
        successes=logs.size,
        ess=total**2 / float((weights**2).sum()) if logs.size else 0.0,
        max_share=1.0 / total if logs.size else 0.0,
        pareto_k=pareto_k(logs, draws),
        log_spread=float(np.ptp(ratios)) if several else 0.0,
        log_spread_sd=float(ratios.std(ddof=1)) if several else 0.0,
    )


def pooled_success(scored: ScoredRound) -> Estimate:
    """Point estimate of a = p(C), unit ``probability``; no interval, for there is no upper end.

    The standard error is stratified by pool, for the two have different means. n counts the draws.
    """
    log_value, relative = _pooled(scored)
    status, reason = diagnostics(scored).grade()
    draws = scored.n_p + scored.n_q
    if status == "undefined":
        return Estimate.undefined(reason, "probability", draws)
    value = math.exp(log_value)
    error = None if relative is None else value * relative
    return Estimate(value=value, std_error=error, n=draws, unit="probability", status=status, reason=reason)


def pooled_log_success(scored: ScoredRound) -> Estimate:
    """Point estimate of log a in nats, standard error by the delta method; holds where a underflows."""
    log_value, relative = _pooled(scored)
    status, reason = diagnostics(scored).grade()
    draws = scored.n_p + scored.n_q
    if status == "undefined":
        return Estimate.undefined(reason, "nats", draws)
    return Estimate(value=log_value, std_error=relative, n=draws, unit="nats", status=status, reason=reason)


def markov_log_lower_bound(scored: ScoredRound, alpha: float) -> float:
    """``log a >= log a^ - log(1/alpha)`` with chance 1 - alpha (Markov), nats; for one round only."""
    return _pooled(scored)[0] + math.log(open_unit(alpha, "alpha"))


def elbo(log_ratios: ArrayLike, n_q: int, confidence: float = 0.95) -> Estimate:
    """``log b + E_{q|C}[log p - log q] <= log a``, in nats: the light-tailed fallback.

    Low by KL(q|C || p|C). The lower end takes Clopper-Pearson for b and a t-interval for the mean, each at
    half of 1 - confidence one-sided; the second part is approximate, so this grades nothing as evidence.

    Args:
        log_ratios: ``log p - log q`` of the candidate's successes, -inf allowed. Shape ``(c,)``.
        n_q: Draws of the candidate, fixed in advance.
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


def _pooled(scored: ScoredRound) -> tuple[float, float | None]:
    """Log of the mean of ``w 1_C`` over all draws, and its relative standard error."""
    logs = scored.success_log_weights()
    draws = scored.n_p + scored.n_q
    log_sum = log_sum_exp(logs)
    if math.isinf(log_sum):
        return -math.inf, None
    shares = np.exp(logs - log_sum)
    of_candidate = scored.from_candidate[scored.is_correct]
    variance = 0.0
    for part, size in ((shares[~of_candidate], scored.n_p), (shares[of_candidate], scored.n_q)):
        if size == 1:
            return log_sum - math.log(draws), None
        if size:
            mean = float(part.sum()) / size
            squares = float(((part - mean) ** 2).sum()) + (size - part.size) * mean**2
            variance += size * squares / (size - 1)
    return log_sum - math.log(draws), math.sqrt(variance)
