import math
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.errors import WorkerError
from workers.estimators.estimate import Estimate


def test_root_error_has_a_stable_code() -> None:
    class Refused(WorkerError):
        code = "refused"

    assert (Refused.code, WorkerError.code, str(Refused("why"))) == ("refused", "internal_error", "why")


@pytest.mark.parametrize("field", ["value", "std_error", "ci_low", "ci_high", "confidence"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_no_nan_or_infinity(field: str, bad: float) -> None:
    numbers = {"value": 1.0, "ci_low": 0.0, "ci_high": 2.0, "confidence": 0.95, field: bad}
    with pytest.raises(ValueError, match="finite"):
        Estimate(**numbers)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"value": None}, "has a value"),
        ({"value": 1.0, "n": -1}, "n must not"),
        ({"value": 1.0, "std_error": -0.1}, "std_error"),
        ({"value": 1.0, "confidence": 1.0}, "confidence"),
        ({"value": 1.0, "ci_low": 2.0, "ci_high": 1.0, "confidence": 0.9}, "exceed"),
        ({"value": 1.0, "ci_low": 0.0}, "needs its confidence"),
        ({"value": 1.0, "reason": "why"}, "reason"),
        ({"value": 1.0, "status": "unreliable"}, "reason"),
        ({"value": 1.0, "status": "undefined", "reason": "why"}, "no numbers"),
    ],
)
def test_contradictions_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Estimate(**fields)  # type: ignore[arg-type]


def test_undefined() -> None:
    none = Estimate.undefined("no samples", "nats", 3)
    assert (none.value, none.status, none.reason, none.unit, none.n) == (
        None,
        "undefined",
        "no samples",
        "nats",
        3,
    )
    with pytest.raises(FrozenInstanceError):
        none.value = 1.0  # type: ignore[misc]


def test_missing_ends_censor() -> None:
    half = Estimate.from_interval(2.0, 1.0, math.inf, confidence=0.95, n=5, unit="nats")
    assert (half.ci_low, half.ci_high, half.status, half.confidence) == (1.0, None, "censored", 0.95)
    assert half.reason
    none = Estimate.from_interval(2.0, -math.inf, math.inf, confidence=0.95, n=5, unit="nats", reason="why")
    assert (none.value, none.confidence, none.reason) == (2.0, None, "why")
    whole = Estimate.from_interval(2.0, 1.0, 3.0, confidence=0.95, n=5, unit="nats", std_error=0.5)
    assert (whole.status, whole.reason, whole.std_error) == ("ok", "", 0.5)
    with pytest.raises(ValueError, match="NaN"):
        Estimate.from_interval(math.nan, 0.0, 1.0, confidence=0.95, n=5, unit="nats")


@given(st.floats(allow_nan=False), st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_from_interval_never_holds_an_infinity(value: float, a: float, b: float) -> None:
    made = Estimate.from_interval(value, min(a, b), max(a, b), confidence=0.9, n=1, unit="nats")
    numbers = (made.value, made.ci_low, made.ci_high)
    assert all(number is None or math.isfinite(number) for number in numbers)
    assert (made.status == "censored") == any(number is None for number in numbers)
