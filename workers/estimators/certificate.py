"""The KL certificate: a candidate that succeeds and stayed close proves that the reference could succeed."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from scipy.optimize import brentq

from workers.estimators.estimate import Estimate
from workers.estimators.tilt import binary_entropy

NATS: Final = "nats"


@dataclass(frozen=True, slots=True)
class Certificate:
    """An upper bound on the price of success -log a, in nats.

    Attributes:
        price_bound: (KL(q‖p) + H_b)/b; its `ci_high` is the certified bound.
        sharp_price_bound: -log of the a < b that solves d(b‖a) = KL(q‖p): the exact inversion, never larger.
        margin: Λ - price_bound; a `ci_low` >= 0 certifies that the reference reaches C within the budget.
    """

    price_bound: Estimate
    sharp_price_bound: Estimate
    margin: Estimate


def price_bound(kl: float, b: float) -> float:
    """(KL(q‖p) + H_b)/b >= -log a, nats; +inf for b = 0. Follows from d(b‖a) <= KL(q‖p)."""
    _check(kl, b)
    return (kl + binary_entropy(b)) / b if b > 0 else math.inf


def sharp_price_bound(kl: float, b: float) -> float:
    """Largest -log a with d(b‖a) <= KL(q‖p), nats; +inf for b = 0."""
    _check(kl, b)
    if b == 0:
        return math.inf
    if b == 1:
        return kl
    least = -math.log(b)  # a = b costs no KL at all
    # d(b‖e^-s) = b·s + (1-b)·(-log(1-e^-s)) - H_b >= b·s - H_b, so the root lies below the simple bound.
    most = price_bound(kl, b)
    if kl == 0 or most <= least:
        return least

    def excess(s: float) -> float:
        return b * s - (1 - b) * math.log1p(-math.exp(-s)) - binary_entropy(b) - kl

    if excess(least) >= 0:  # a divergence below rounding
        return least
    return float(brentq(excess, least, most)) if excess(most) > 0 else most


def certify(kl: Estimate, success: Estimate, log_budget: float) -> Certificate:
    """Bound the price of success by the candidate's distance and success rate.

    Both bounds rise with KL and fall with b, so their ends come from opposite corners; the confidence is what
    the two intervals leave together.

    Args:
        kl: KL(q‖p), nats per sequence.
        success: b = q(C).
        log_budget: Λ(K, ρ), nats.
    """
    if kl.value is None or success.value is None:
        reason = kl.reason if kl.value is None else success.reason
        missing = Estimate.undefined(reason, NATS, success.n)
        return Certificate(missing, missing, missing)
    simple = _bound(price_bound, kl, success)
    margin = Estimate.from_interval(
        -math.inf if simple.value is None else log_budget - simple.value,
        -math.inf if simple.ci_high is None else log_budget - simple.ci_high,
        math.inf if simple.ci_low is None else log_budget - simple.ci_low,
        confidence=simple.confidence or _confidence(kl, success),
        n=simple.n,
        unit=NATS,
        std_error=simple.std_error,
        reason=simple.reason,
        status=None if simple.status == "ok" else simple.status,
    )
    return Certificate(simple, _bound(sharp_price_bound, kl, success), margin)


def _bound(bound: Callable[[float, float], float], kl: Estimate, success: Estimate) -> Estimate:
    value = bound(kl.value or 0.0, success.value or 0.0)
    low = -math.inf
    if kl.ci_low is not None and success.ci_high is not None:
        low = bound(max(kl.ci_low, 0.0), success.ci_high)
    high = math.inf
    if kl.ci_high is not None and success.ci_low is not None:
        high = bound(kl.ci_high, success.ci_low)
    weak = next((part for part in (kl, success) if part.status == "unreliable"), None)
    return Estimate.from_interval(
        value,
        low,
        high,
        confidence=_confidence(kl, success),
        n=success.n,
        unit=NATS,
        reason="no success of the candidate is certain" if weak is None else weak.reason,
        status=None if weak is None or math.isinf(value) else "unreliable",
    )


def _confidence(kl: Estimate, success: Estimate) -> float:
    spent = sum(1 - part.confidence for part in (kl, success) if part.confidence is not None)
    return max(1 - spent, 1e-9)


def _check(kl: float, b: float) -> None:
    if not (kl >= 0 and 0 <= b <= 1):
        raise ValueError("need KL >= 0 and b in [0, 1]")
