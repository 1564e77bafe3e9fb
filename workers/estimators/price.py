"""The chance of success of one side and its price, from its bounds and the best point there is.

Weights cannot tell whether the candidate visits all of C: a price that rests on them may be decades too high
with perfect diagnostics, and a single lucky success of a small pilot makes it decades too low. What knows is
the certified interval, whose lower end of the price comes from the side's own samples alone. So a price is
``ok`` exactly where both ends lie within `PRICE_TOLERANCE` of it: the truth then lies that near as well, but
for the interval's own error level, whatever the candidate visits.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Literal, NamedTuple

from workers.estimators.counts import log_budget
from workers.estimators.estimate import Estimate
from workers.estimators.importance import has_bounded_weights, pooled_elbo, pooled_log_success
from workers.estimators.reference_counts import SideCounts, UpperEnd
from workers.estimators.scored_round import ScoredRound

PRICE_TOLERANCE: Final = math.log(10.0) / 2
"""How far the ends of a price graded ``ok`` may lie from its value: half a decade of a, in nats."""

ELBO_POINT: Final = "the value is an upper bound of the price, the ELBO's or the certified one"
HELD_PILOT: Final = "the pilot's rate contradicts the bounds: the value is the nearer of them"


CONDITIONAL: Final = (
    "conditional on the scored samples visiting every kind of success: the side's own samples leave room for "
    "one that is far cheaper"
)
FEW_SUCCESSES: Final = "few successes: the interval reaches more than half a decade from the value"


class _Point(NamedTuple):
    """A point of the price, nats; `doubt` says why it cannot be ``ok`` whatever the interval says."""

    value: float | None = None
    std_error: float | None = None
    doubt: str = ""
    is_scored: bool = False


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

    Where the pilot has a success, pooling is never worse than its rate, however weak the weights
    (`has_bounded_weights`). Without pooling the point is the pilot's rate, held between the bounds; without a
    success there, the ELBO's, an upper bound of the price on average, which makes the estimate
    ``unreliable``. ``censored`` without a lower bound of a, or without a point. Graded by `graded`. The
    standard error is the point's own, which knows nothing of successes that no sample visited.

    Args:
        own: The side's own samples.
        scoring: Finished rounds; None if the plan has no scoring.
        log_lower: Lower bound of log a at alpha/2, nats; -inf if there is none.
        upper: Upper bound of a at alpha/2, from the side's own samples.
        alpha: 1 - confidence of the interval.
    """
    low = max(-math.log(upper), 0.0)
    high = None if math.isinf(log_lower) else max(-log_lower, low)
    point = _price_point(own, scoring, low, high)
    status: Literal["ok", "unreliable", "censored"] = "unreliable" if point.doubt else "ok"
    reason = point.doubt
    if high is None:
        status, reason = "censored", "no success bounds the chance of success from below"
    elif point.value is None:
        status, reason = "censored", "no success in the pilot, and no sound estimate from scoring"
    price = Estimate(
        value=point.value,
        std_error=point.std_error,
        ci_low=low,
        ci_high=high,
        confidence=1.0 - alpha,
        n=own.n,
        unit="nats",
        status=status,
        reason=reason,
    )
    return graded(price, is_scored=point.is_scored)


def graded(price: Estimate, *, is_scored: bool) -> Estimate:
    """The price, ``unreliable`` where an end of its interval lies beyond `PRICE_TOLERANCE` of its value.

    Args:
        price: S, nats; one that is not ``ok`` is returned as it is.
        is_scored: Whether the value rests on scored draws of other models too.
    """
    if price.status != "ok" or price.value is None or price.ci_low is None or price.ci_high is None:
        return price
    below, above = price.value - price.ci_low, price.ci_high - price.value
    if max(below, above) <= PRICE_TOLERANCE:
        return price
    reason = CONDITIONAL if is_scored and below > PRICE_TOLERANCE else FEW_SUCCESSES
    return replace(price, status="unreliable", reason=reason)


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
) -> _Point:
    """The best point of the price between its bounds."""
    rate, weakness = _pilot_rate(own), ""
    has_success = rate is not None and rate[0] > 0.0
    if scoring:
        pooled = pooled_log_success(scoring)
        weakness = pooled.reason
        is_usable = pooled.status == "ok" or (has_success and has_bounded_weights(scoring))
        if pooled.value is not None and is_usable:
            price = max(-pooled.value, 0.0)
            if low <= price and (high is None or price <= high):
                return _Point(price, pooled.std_error, is_scored=True)
            weakness = weakness or "the pooled point lies outside the bounds"
    if rate is not None and rate[0] > 0.0:
        return _pilot_point(*rate, low, high)
    if scoring and weakness and (bound := pooled_elbo(scoring)).value is not None:
        price = -bound.value
        if price >= low:  # both the ELBO and the certified end bound the price from above
            capped = price if high is None else min(price, high)
            return _Point(capped, bound.std_error, f"{ELBO_POINT} ({weakness})")
    return _Point()


def _pilot_point(rate: float, error: float | None, low: float, high: float | None) -> _Point:
    """The pilot's rate as a price; samples of later rounds may have excluded it."""
    price = -math.log(rate)
    held = max(price, low) if high is None else min(max(price, low), high)
    doubt = HELD_PILOT if held != price else ""
    return _Point(held, None if error is None else error / rate, doubt)
