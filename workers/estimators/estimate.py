"""What every estimator returns: a number, its error bar, and the reason to trust it."""

import math
from dataclasses import dataclass
from typing import Literal, Self

Status = Literal["ok", "unreliable", "undefined", "censored"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A point estimate with its interval and grade.

    Attributes:
        value: In `unit`; None if undefined, or if censored with no point estimate.
        std_error: One standard error, same unit; None if it cannot be computed (one observation has none).
        ci_low: Lower end of the interval; None if there is none.
        ci_high: Upper end of the interval; None if there is none.
        confidence: Nominal coverage of the interval, in (0, 1); None without an interval. With a single
            end, the coverage of that one-sided bound.
        n: Independent units behind the estimate (samples, prompts, ...).
        unit: For example ``"nats"`` or ``"probability"``.
        status: ``ok``; ``unreliable`` (a diagnostic is weak); ``undefined`` (no value);
            ``censored`` (the value or one end lies beyond what `n` units can show; that end is None).
        reason: Why the status is not ``ok``.

    Raises:
        ValueError: A number is NaN or infinite, a status other than ``ok`` has no reason, an ``undefined``
            estimate carries numbers, the interval is empty, or a field is out of range.
    """

    value: float | None
    std_error: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    confidence: float | None = None
    n: int = 0
    unit: str = ""
    status: Status = "ok"
    reason: str = ""

    def __post_init__(self) -> None:
        """Reject what must never cross the API."""
        numbers = (self.value, self.std_error, self.ci_low, self.ci_high, self.confidence)
        if any(number is not None and not math.isfinite(number) for number in numbers):
            raise ValueError(f"an Estimate holds finite numbers or None: {numbers}")
        if self.n < 0:
            raise ValueError("n must not be negative")
        if self.std_error is not None and self.std_error < 0:
            raise ValueError("std_error must not be negative")
        if self.confidence is not None and not 0 < self.confidence < 1:
            raise ValueError("confidence must lie strictly between 0 and 1")
        if self.ci_low is not None and self.ci_high is not None and self.ci_low > self.ci_high:
            raise ValueError("ci_low must not exceed ci_high")
        if (self.ci_low is not None or self.ci_high is not None) and self.confidence is None:
            raise ValueError("an interval needs its confidence")
        if (self.status == "ok") == bool(self.reason):
            raise ValueError("a reason is given exactly when the status is not ok")
        if self.status == "ok" and self.value is None:
            raise ValueError("an ok estimate has a value")
        if self.status == "undefined" and any(number is not None for number in numbers):
            raise ValueError("an undefined estimate holds no numbers")

    @classmethod
    def undefined(cls, reason: str, unit: str = "", n: int = 0) -> Self:
        """An estimate that does not exist, and why."""
        return cls(value=None, n=n, unit=unit, status="undefined", reason=reason)

    @classmethod
    def from_interval(
        cls,
        value: float,
        low: float,
        high: float,
        *,
        confidence: float,
        n: int,
        unit: str,
        std_error: float | None = None,
        reason: str = "",
        status: Status | None = None,
    ) -> Self:
        """An estimate whose ends may be infinite: those become None and the status ``censored``.

        Args:
            value: Point estimate; an infinite one becomes None.
            low: Lower end; may be -inf.
            high: Upper end; may be +inf.
            confidence: Coverage of the interval.
            n: Independent units.
            unit: Unit of all three numbers.
            std_error: One standard error, or None.
            reason: Why `status` is not ok, or why an end is missing.
            status: Overrides the derived status.

        Raises:
            ValueError: A number is NaN, or the fields contradict each other.
        """
        ends = [value, low, high]
        if any(math.isnan(end) for end in ends):
            raise ValueError("NaN is no estimate")
        missing = any(math.isinf(end) for end in ends)
        derived: Status = status or ("censored" if missing else "ok")
        text = reason or ("beyond what the samples can show" if derived != "ok" else "")
        point, lower, upper = (None if math.isinf(end) else end for end in ends)
        no_interval = lower is None and upper is None
        return cls(
            value=point,
            std_error=std_error,
            ci_low=lower,
            ci_high=upper,
            confidence=None if no_interval else confidence,
            n=n,
            unit=unit,
            status=derived,
            reason="" if derived == "ok" else text,
        )
