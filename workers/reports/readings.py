"""Estimates as people read them: a value with its interval, or the reason why there is none."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final

from workers.reports.numerals import is_number, numeral, percent

Json = Mapping[str, Any]

USUAL_CONFIDENCE: Final = 0.95
HALF_WIDTH: Final = NormalDist().inv_cdf((1 + USUAL_CONFIDENCE) / 2)
"""Standard errors from the middle of a normal interval to its end."""

REASONS: Final = {
    "truncated_support": (
        "truncated support: the policy gives the reference probability zero on tokens the candidate sampled"
    ),
    "tokenizers_differ": "the two models have different tokenizers, so token probabilities do not compare",
    "not_scored": "the samples were not scored under both models",
}
"""Words for the reasons that are codes."""


@dataclass(frozen=True, slots=True)
class Reading:
    """An estimate in words.

    Attributes:
        value: The number, a bound ("at least 2.76"), or "not defined".
        interval: The interval in brackets, or "".
        spread: Half the width of the sampling interval for exactly these prompts, or "".
        note: Status and reason in words, or "".
        status: `ok`, `unreliable`, `undefined` or `censored`.
        key: What a table sorts by; "" sorts last.
        footnote: Number of the footnote that holds the note, or 0.
    """

    value: str
    interval: str = ""
    spread: str = ""
    note: str = ""
    status: str = "ok"
    key: str = ""
    footnote: int = 0

    @property
    def sentence(self) -> str:
        """All of it on one line, for people who hear the page."""
        return " ".join(filter(None, [self.value, self.interval, f"({self.note})" if self.note else ""]))


def read(estimate: Json, *, signed: bool = False, share: bool = False) -> Reading:
    """Put an estimate into words.

    Args:
        estimate: `{value, ci_low, ci_high, confidence, status, reason, …}`.
        signed: Print a plus sign.
        share: Print percentages.
    """
    low, high, value = (finite(estimate.get(name)) for name in ("ci_low", "ci_high", "value"))
    status = str(estimate.get("status", "ok"))
    reason = reason_of(estimate)

    def text(number: float) -> str:
        return percent(number) if share else numeral(number, signed=signed)

    if value is None:
        key = low if low is not None else high
        return Reading(
            value=_bound(low, high, text) or "not defined",
            note=reason or "no reason was given",
            status="censored" if key is not None else "undefined",
            key="" if key is None else repr(key),
        )
    interval = f"[{text(low)}, {text(high)}]" if low is not None and high is not None else ""
    if not interval:
        interval = _bound(low, high, text)
    confidence = finite(estimate.get("confidence"))
    if interval and confidence is not None and abs(confidence - USUAL_CONFIDENCE) > 1e-9:
        interval += f" at {percent(confidence)}"
    return Reading(
        text(value), interval, _spread(estimate, share), _note(status, reason), status, repr(value)
    )


def reason_of(estimate: Json) -> str:
    """The estimate's reason, in words where it is a code or counts codes."""
    reason = str(estimate.get("reason") or "")
    if reason in REASONS:
        return REASONS[reason]
    for code in REASONS:
        reason = reason.replace(code, code.replace("_", " "))
    return reason


def finite(value: Any) -> float | None:
    """A finite number, or None."""
    return float(value) if is_number(value) else None


def sampling_half_width(estimate: Json) -> float | None:
    """Half the width of the 95 % interval for exactly these prompts, where there is one."""
    error = finite(estimate.get("sampling_std_error"))
    return None if error is None else HALF_WIDTH * error


def _spread(estimate: Json, share: bool) -> str:
    half = sampling_half_width(estimate)
    if not half:
        return ""
    return f"± {percent(half) if share else numeral(half)}"


def _note(status: str, reason: str) -> str:
    if status == "ok":
        return reason
    if not reason:
        return status
    return reason if status in reason else f"{status}: {reason}"


def _bound(low: float | None, high: float | None, text: Callable[[float], str]) -> str:
    if low is not None and high is not None:
        return f"{text(low)} to {text(high)}"
    if low is not None:
        return f"at least {text(low)}"
    return f"at most {text(high)}" if high is not None else ""
