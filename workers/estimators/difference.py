"""The difference of two independent estimates."""

import math

from workers.estimators.estimate import Estimate


def difference(one: Estimate, other: Estimate) -> Estimate:
    """`one` less `other`, from independent samples, with the interval of MOVER (Donner & Zou 2012).

    With d = x - y the lower end is d - sqrt((x - x_low)² + (y_high - y)²), and the upper one mirrors
    it. `n` is the smaller of the two.

    Args:
        one: The minuend.
        other: The subtrahend, of the same unit and confidence.

    Raises:
        ValueError: units or confidences differ.
    """
    n = min(one.n, other.n)
    if one.unit != other.unit:
        raise ValueError("a difference needs one unit")
    if one.value is None or other.value is None:
        return Estimate.undefined(one.reason if one.value is None else other.reason, one.unit, n)
    value = one.value - other.value
    errors = one.std_error, other.std_error
    ends = _ends(one, other)
    weak = [estimate for estimate in (one, other) if estimate.status != "ok"]
    return Estimate(
        value=value,
        std_error=None if errors[0] is None or errors[1] is None else math.hypot(errors[0], errors[1]),
        ci_low=None if ends is None else value - ends[0],
        ci_high=None if ends is None else value + ends[1],
        confidence=None if ends is None else one.confidence,
        n=n,
        unit=one.unit,
        status="unreliable" if weak else "ok",
        reason="; ".join(dict.fromkeys(estimate.reason for estimate in weak)),
    )


def _ends(one: Estimate, other: Estimate) -> tuple[float, float] | None:
    """How far the interval reaches below and above the difference; None if one of the two has none."""
    x, x_low, x_high = one.value, one.ci_low, one.ci_high
    y, y_low, y_high = other.value, other.ci_low, other.ci_high
    if x is None or x_low is None or x_high is None or y is None or y_low is None or y_high is None:
        return None
    if one.confidence != other.confidence:
        raise ValueError("a difference needs one confidence")
    return math.hypot(x - x_low, y_high - y), math.hypot(x_high - x, y - y_low)
