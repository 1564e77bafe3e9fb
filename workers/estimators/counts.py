"""Evidence and intervals for the chance of success of one sample, from counts.

Notation: a is the chance of success, c of n samples succeeded, eps is a threshold for a. A plan is *fixed*
if the number of samples was set before the first, and *adaptive* if a pilot of fixed size decides which
prompts are topped up, and further looks how far.

Evidence is an e-value in nats: under its null hypothesis ``P(log E >= log 1/alpha) <= alpha`` at any
stopping time (Ville).
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from scipy import optimize, special

from workers.numerics.checks import counts, open_unit
from workers.numerics.logspace import log1mexp, log_betainc, log_betaincc

# Shares of the error level under an adaptive plan: most prompts end with their pilot.
_PILOT_SHARE, _TOP_UP_SHARE = 0.6, 0.4
# The ends are solved for in a log scale, where exp(-700) is the least double that matters.
_LOG_FLOOR = -700.0
# Prompts share counts, and every round, level and budget of the curve asks for the same ones again.
_remembered: Final = lru_cache(maxsize=1 << 16)


def epsilon(k: int, reach: float) -> float:
    """The least chance of success that counts as accessible at budget `k`: 1 - (1 - reach)^(1/k).

    Args:
        k: Budget in samples, at least 1.
        reach: The chance of at least one success among k that counts as reachable, in (0, 1).

    Raises:
        ValueError: An argument is out of range.
    """
    if k < 1:
        raise ValueError("the budget is at least one sample")
    return -math.expm1(math.log1p(-open_unit(reach, "reach")) / k)


def log_budget(k: int, reach: float) -> float:
    """Lambda = -log epsilon(k, reach): the highest price of success, in nats, that k samples can pay."""
    return -math.log(epsilon(k, reach))


def log_e_out(successes: int, n: int, threshold: float, planned_n: int) -> float:
    """Log e-value, in nats, against H0: a >= threshold. Large means out of reach.

    The mixture over theta < threshold of the likelihood ratio of theta to the threshold, under
    Beta(1/2, planned_n) truncated to (0, threshold). Each factor has mean <= 1 for every a >= threshold
    (it decreases in a, and is 1 at the threshold), so the product is a supermartingale under all of H0.
    Without the truncation it is not: it would reject a = 0.3 as "not the threshold".

    Args:
        successes: c, among samples of the distribution that is judged, and no others.
        n: All of its samples so far.
        threshold: eps in (0, 1).
        planned_n: The most samples the plan allows, fixed before the first: it shapes the prior.

    Raises:
        ValueError: Counts that are not whole, or an argument out of range.
    """
    c, total = counts(successes, n)
    if planned_n < 1:
        raise ValueError("planned_n is at least 1")
    return log_mixture(c, total, open_unit(threshold, "threshold"), float(planned_n), above=False)


def log_e_in(successes: int, n: int, threshold: float) -> float:
    """Log e-value, in nats, against H0: a <= threshold. Large means within reach.

    As `log_e_out`, mirrored: Beta(1/2, 0.2/threshold) truncated to (threshold, 1).

    Args:
        successes: c, among samples of the distribution that is judged.
        n: All of its samples so far.
        threshold: eps in (0, 1).

    Raises:
        ValueError: Counts that are not whole, or an argument out of range.
    """
    c, total = counts(successes, n)
    return log_mixture(c, total, open_unit(threshold, "threshold"), in_shape(threshold), above=True)


def in_shape(threshold: float) -> float:
    """Second shape of the prior of `log_e_in`."""
    return 0.2 / threshold


@_remembered
def log_mixture(c: float, n: float, threshold: float, t: float, *, above: bool) -> float:
    """Log of the mixed likelihood ratio to the threshold under Beta(1/2, t) truncated to one side of it.

    ``[B(c+s, n-c+t) J(c+s, n-c+t)] / [B(s, t) J(s, t)] / [eps^c (1-eps)^(n-c)]`` with s = 1/2 and J the
    regularised incomplete beta function below eps, or its complement above.
    """
    tail = log_betaincc if above else log_betainc
    s = 0.5
    posterior = float(special.betaln(c + s, n - c + t)) + tail(c + s, n - c + t, threshold)
    prior = float(special.betaln(s, t)) + tail(s, t, threshold)
    return posterior - prior - (c * math.log(threshold) + (n - c) * math.log1p(-threshold))


def clopper_pearson(successes: int, n: int, confidence: float) -> tuple[float, float]:
    """The exact two-sided interval of Clopper and Pearson (1934), for a fixed plan.

    Args:
        successes: c of n.
        n: Samples, fixed in advance; 0 gives (0, 1).
        confidence: Coverage, in (0, 1); each side misses with at most half the rest.

    Raises:
        ValueError: An argument is out of range.
    """
    c, total = counts(successes, n)
    alpha = 1.0 - open_unit(confidence, "confidence")
    return _exact_low(c, total, alpha / 2), _exact_high(c, total, alpha / 2)


@_remembered
def confidence_sequence(successes: int, n: int, alpha: float, threshold: float) -> tuple[float, float]:
    """An interval that holds at every n at once with probability 1 - alpha (Robbins 1970; Ville).

    ``{a : M_n / (a^c (1-a)^(n-c)) < 1/alpha}`` with M the marginal likelihood under the mixture
    1/2 Beta(1/2, 1/2) + 1/2 Beta(1/2, 1/threshold): the first serves rates of order one, the second rates
    near the threshold. The log ratio is convex in a, so the set is an interval round c/n.

    Args:
        successes: c of n.
        n: Samples so far, however their number was decided.
        alpha: Error level, in (0, 1), for both ends together.
        threshold: A rate of interest, in (0, 1), fixed in advance.

    Raises:
        ValueError: An argument is out of range.
    """
    c, total = counts(successes, n)
    edge = _log_marginal(c, total, open_unit(threshold, "threshold")) + math.log(open_unit(alpha, "alpha"))

    def below(log_a: float) -> float:
        a = math.exp(log_a)
        return edge - float(special.xlogy(c, a) + special.xlog1py(total - c, -a))

    def above(log_rest: float) -> float:
        return edge - float(special.xlogy(c, -math.expm1(log_rest))) - (total - c) * log_rest

    low = math.exp(_root(below, math.log(c / total))) if c else 0.0
    high = -math.expm1(_root(above, math.log1p(-c / total))) if c < total else 1.0
    return low, high


def confidence_sequence_log_e(successes: int, n: int, log_a: float, threshold: float) -> float:
    """Log e-value of `confidence_sequence`, in nats, against a = exp(log_a), held beyond c/n.

    Held, it falls in a throughout, and is the evidence that a is higher.

    Raises:
        ValueError: Counts out of range, or log_a > 0.
    """
    c, total = counts(successes, n)
    if log_a > 0.0:
        raise ValueError("a probability has no positive log")
    if c == 0:
        return _log_marginal(0, total, threshold)
    if math.log(c / total) <= log_a:
        log_a = math.log(c / total)
    likelihood = c * log_a + (float((total - c) * log1mexp(log_a)) if c < total else 0.0)
    return _log_marginal(c, total, threshold) - likelihood


def success_interval(
    pilot_successes: int,
    pilot_n: int,
    successes: int,
    n: int,
    *,
    confidence: float,
    threshold: float,
    adaptive: bool,
) -> tuple[float, float]:
    """A two-sided interval for a that survives the decision to top up.

    Fixed plan: Clopper-Pearson on the pilot. Adaptive plan, with alpha = 1 - confidence: Clopper-Pearson of
    the pilot at 1 - 0.6 alpha where the prompt was not topped up, the confidence sequence of all samples at
    1 - 0.4 alpha where it was. Proof: whichever is printed, it misses a only if the pilot's interval does
    (chance <= 0.6 alpha, its size being fixed) or the sequence does at some n (chance <= 0.4 alpha). The
    union is at most alpha, whatever the rule for topping up looks at, other prompts included.

    Args:
        pilot_successes: Successes in the pilot.
        pilot_n: Size of the pilot, fixed in advance.
        successes: Successes in all samples, the pilot's included.
        n: All samples, the pilot's included.
        confidence: Coverage, in (0, 1).
        threshold: As `confidence_sequence`; used where topped up.
        adaptive: Whether the plan could have topped this prompt up.

    Raises:
        ValueError: Counts that contradict each other, or a top-up under a fixed plan.
    """
    topped_up = _check_plan(pilot_successes, pilot_n, successes, n, adaptive)
    alpha = 1.0 - open_unit(confidence, "confidence")
    if topped_up:
        return confidence_sequence(successes, n, _TOP_UP_SHARE * alpha, threshold)
    return clopper_pearson(pilot_successes, pilot_n, 1.0 - alpha * (_PILOT_SHARE if adaptive else 1.0))


def success_upper_bound(
    pilot_successes: int,
    pilot_n: int,
    successes: int,
    n: int,
    *,
    alpha: float,
    threshold: float,
    adaptive: bool,
) -> float:
    """The one-sided sibling of `success_interval`: a exceeds it with chance at most `alpha`."""
    topped_up = _check_plan(pilot_successes, pilot_n, successes, n, adaptive)
    open_unit(alpha, "alpha")
    if topped_up:
        return confidence_sequence(successes, n, _TOP_UP_SHARE * alpha, threshold)[1]
    return _exact_high(pilot_successes, pilot_n, alpha * (_PILOT_SHARE if adaptive else 1.0))


def success_lower_bound(
    pilot_successes: int,
    pilot_n: int,
    successes: int,
    n: int,
    *,
    alpha: float,
    threshold: float,
    adaptive: bool,
) -> float:
    """The mirror image of `success_upper_bound`: a falls below it with chance at most `alpha`."""
    topped_up = _check_plan(pilot_successes, pilot_n, successes, n, adaptive)
    open_unit(alpha, "alpha")
    if topped_up:
        return confidence_sequence(successes, n, _TOP_UP_SHARE * alpha, threshold)[0]
    return _exact_low(pilot_successes, pilot_n, alpha * (_PILOT_SHARE if adaptive else 1.0))


def _check_plan(pilot_successes: int, pilot_n: int, successes: int, n: int, adaptive: bool) -> bool:
    """Whether the prompt was topped up; ValueError if the counts contradict each other."""
    counts(pilot_successes, pilot_n)
    counts(successes, n)
    counts(successes - pilot_successes, n - pilot_n)
    if n > pilot_n and not adaptive:
        raise ValueError("a fixed plan has no samples beyond its pilot")
    return n > pilot_n


@_remembered
def _exact_low(c: int, n: int, alpha: float) -> float:
    return float(special.betaincinv(c, n - c + 1, alpha)) if c else 0.0


@_remembered
def _exact_high(c: int, n: int, alpha: float) -> float:
    return float(special.betainccinv(c + 1, n - c, alpha)) if c < n else 1.0


def _log_marginal(c: int, n: int, threshold: float) -> float:
    """Log of the chance of one sequence with c successes in n under the two-part prior."""
    parts = [
        float(special.betaln(c + 0.5, n - c + t) - special.betaln(0.5, t)) for t in (0.5, 1.0 / threshold)
    ]
    peak = max(parts)
    return peak + math.log(math.fsum(math.exp(part - peak) for part in parts)) - math.log(2.0)


def _root(excess: Callable[[float], float], inner: float) -> float:
    """The root between the log floor, outside the interval, and `inner`, inside it."""
    if excess(_LOG_FLOOR) <= 0.0:
        return _LOG_FLOOR
    return float(optimize.brentq(excess, _LOG_FLOOR, inner, xtol=1e-13, rtol=1e-14))
