"""The chance of success of one side and its price, from its bounds and the best point there is."""

import math
from collections.abc import Sequence
from typing import Final, Literal

from workers.estimators.counts import log_budget
from workers.estimators.estimate import Estimate
from workers.estimators.importance import pooled_elbo, pooled_log_success
from workers.estimators.reference_counts import SideCounts, UpperEnd
from workers.estimators.scored_round import ScoredRound

ELBO_POINT: Final = "the value is an upper bound of the price, the ELBO's or the certified one"


def _pilot_rate(own: SideCounts) -> tuple[float, float | None] | None:
    """The pilot's rate and its standard error, None where the sample one is 0; None without a pilot."""
    c, n = own.pilot_successes, own.pilot_n
    if n == 0:
        return None
    return c / n, math.sqrt(c / n * (1.0 - c / n) / (n - 1)) if 0 < c < n else None


def success_of(own: SideCounts, log_lower: float, upper: UpperEnd, alpha: float) -> Estimate:
    """a, unit ``probability``: the pilot's rate between the bounds, one at alpha/2 a side.

    A rate of 0 or 1 has a sample error of 0, which reads as certainty; there the error is that of the rate
    shrunk to (c + 1/2)/(n + 1), so that a mean over prompts keeps an error of its own.
    """
    rate = _pilot_rate(own)
    if rate is None:
        return Estimate.undefined("no pilot samples", "probability")
    low = min(math.exp(log_lower), upper)
    value, error = rate
    if error is None:
        n = own.pilot_n
        shrunk = (value * n + 0.5) / (n + 1)
        error = math.sqrt(shrunk * (1.0 - shrunk) / n)
    return Estimate(
        value=value,
        std_error=error,
        ci_low=low,
        ci_high=upper,
        confidence=1.0 - alpha,
        n=own.n,
        unit="probability",
    )


def price_of(
    own: SideCounts,
    scoring: Sequence[ScoredRound] | None,
    log_lower: float,
    upper: UpperEnd,
    alpha: float,
) -> Estimate:
    """S = -log a in nats: ends from the bounds, the point from pooling if that is sound and between them.

    Else the point is the pilot's; without a success there, the ELBO's, an upper bound of the price on
    average, which makes the estimate ``unreliable``. ``censored`` without a lower bound of a, or without a
    point.

    Args:
        own: The side's own samples.
        scoring: Finished rounds; None if the plan has no scoring.
        log_lower: Lower bound of log a at alpha/2, nats; -inf if there is none.
        upper: Upper bound of a at alpha/2, from the side's own samples.
        alpha: 1 - confidence of the interval.
    """
    low = max(-math.log(upper), 0.0)
    high = None if math.isinf(log_lower) else max(-log_lower, low)
    value, error, doubt = _price_point(own, scoring, low, high)
    status: Literal["ok", "unreliable", "censored"] = "unreliable" if doubt else "ok"
    reason = doubt
    if high is None:
        status, reason = "censored", "no success bounds the chance of success from below"
    elif value is None:
        status, reason = "censored", "no success in the pilot, and no sound estimate from scoring"
    return Estimate(
        value=value,
        std_error=error,
        ci_low=low,
        ci_high=high,
        confidence=1.0 - alpha,
        n=own.n,
        unit="nats",
        status=status,
        reason=reason,
    )


def margin(price: Estimate, k: int, reach: float) -> Estimate:
    """Lambda(k, reach) - S in nats: what the budget leaves over; at least 0 is accessible.

    Args:
        price: S, nats.
        k: Budget in samples.
        reach: As `log_budget`.
    """
    budget = log_budget(k, reach)
    if price.status == "undefined":
        return Estimate.undefined(price.reason, "nats", price.n)
    return Estimate(
        value=None if price.value is None else budget - price.value,
        std_error=price.std_error,
        ci_low=None if price.ci_high is None else budget - price.ci_high,
        ci_high=None if price.ci_low is None else budget - price.ci_low,
        confidence=price.confidence,
        n=price.n,
        unit="nats",
        status=price.status,
        reason=price.reason,
    )


def _price_point(
    own: SideCounts, scoring: Sequence[ScoredRound] | None, low: float, high: float | None
) -> tuple[float | None, float | None, str]:
    """Price, standard error, and why to doubt it."""
    doubt = ""

    def inside(price: float) -> bool:
        return low <= price and (high is None or price <= high)

    if scoring:
        pooled = pooled_log_success(scoring)
        if pooled.value is not None:
            price = max(-pooled.value, 0.0)
            if pooled.status == "ok" and inside(price):
                return price, pooled.std_error, ""
            doubt = pooled.reason or "the pooled point lies outside the bounds"
    rate = _pilot_rate(own)
    if rate is not None and rate[0] > 0.0:
        value, error = rate
        return -math.log(value), None if error is None else error / value, ""
    if scoring and doubt and (bound := pooled_elbo(scoring)).value is not None:
        price = -bound.value
        if price >= low:  # both the ELBO and the certified end bound the price from above
            capped = price if high is None else min(price, high)
            return capped, bound.std_error, f"{ELBO_POINT} ({doubt})"
    return None, None, doubt
