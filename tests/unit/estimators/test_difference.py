"""The difference of two estimates by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.estimators.difference import difference
from workers.estimators.estimate import Estimate


def estimate(value, low, high, error=None, *, n=9, confidence=0.95):
    return Estimate(
        value=value, std_error=error, ci_low=low, ci_high=high, confidence=confidence, n=n, unit="nats"
    )


def test_by_hand():
    """5 in [2, 6] less 3 in [2, 7]: below by sqrt(3² + 4²) = 5, above by sqrt(1² + 1²)."""
    found = difference(estimate(5.0, 2.0, 6.0, 3.0), estimate(3.0, 2.0, 7.0, 4.0, n=4))
    assert (found.value, found.ci_low, found.std_error, found.n) == (2.0, -3.0, 5.0, 4)
    assert found.ci_high == pytest.approx(2 + math.sqrt(2))
    assert (found.confidence, found.status) == (0.95, "ok")


def test_what_is_undefined_or_weak_stays_so():
    none = Estimate.undefined("not scored", "nats", 3)
    known = estimate(1.0, 0.5, 2.0)
    for found in (difference(none, known), difference(known, none)):
        assert (found.status, found.reason, found.n) == ("undefined", "not scored", 3)
    weak = Estimate(value=2.0, n=1, unit="nats", status="unreliable", reason="one sample")
    found = difference(weak, known)
    assert (found.value, found.ci_low, found.std_error) == (1.0, None, None)
    assert (found.status, found.reason) == ("unreliable", "one sample")


def test_unlike_estimates_have_none():
    with pytest.raises(ValueError, match="one unit"):
        difference(estimate(1.0, 0.0, 2.0), Estimate(value=1.0, unit="probability"))
    with pytest.raises(ValueError, match="one confidence"):
        difference(estimate(1.0, 0.0, 2.0), estimate(1.0, 0.0, 2.0, confidence=0.9))


@given(
    st.lists(st.floats(-50, 50), min_size=3, max_size=3), st.lists(st.floats(-50, 50), min_size=3, max_size=3)
)
def test_it_mirrors_and_holds_its_point(one, other):
    x, y = (estimate(mid, low, high) for low, mid, high in (sorted(one), sorted(other)))
    forward, back = difference(x, y), difference(y, x)
    assert forward.ci_low <= forward.value <= forward.ci_high
    assert (back.value, back.ci_low) == pytest.approx((-forward.value, -forward.ci_high))
