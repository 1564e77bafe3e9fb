"""Estimates in a table of a page: numbers, intervals and the drawings of a column."""

import re
from typing import Any

import pytest

from api_schemas.estimates import Estimate
from service.web.intervals import Scale, cell, number


def estimate(value: float | None, low: float | None, high: float | None, **parts: Any) -> Estimate:
    known = {"std_error": None, "confidence": 0.95, "n": 3, "unit": "nats", "status": "ok", "reason": ""}
    return Estimate(value=value, ci_low=low, ci_high=high, **{**known, **parts})


def test_a_column_is_drawn_on_one_scale() -> None:
    """From -1 to 3: 112 pixels behind a margin of 4, so that 0 is at 4 + 112/4 = 32 and 1 at 60."""
    first, second = estimate(1.0, -1.0, 2.0), estimate(0.0, None, 3.0)
    scale = Scale.over([first, None, second])
    assert (scale.low, scale.high) == (-1.0, 3.0)
    drawn = cell(first, scale)
    assert re.findall(r'x1="([^"]+)" x2="([^"]+)"', drawn) == [("32.0", "32.0"), ("4.0", "88.0")]
    assert 'cx="60.0"' in drawn
    # What is open to one side goes to the edge of its column.
    assert 'x1="4.0" x2="116.0"' in cell(second, scale)


def test_zero_is_on_every_scale_and_equal_numbers_have_one() -> None:
    assert Scale.over([estimate(2.0, 1.0, 3.0)]).low == 0.0
    assert Scale.over([]).x(0.0) == 4.0


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [(0.1, 0.25, "0.100 to 0.250"), (None, 0.25, "up to 0.250"), (0.1, None, "0.100 or more")],
)
def test_intervals_may_be_open(low: float | None, high: float | None, text: str) -> None:
    one = estimate(0.2, low, high)
    assert text in cell(one, Scale.over([one]))


def test_a_value_without_an_interval_has_no_line() -> None:
    one = estimate(0.2, None, None)
    drawn = cell(one, Scale.over([one]))
    assert "no interval" in drawn
    assert 'class="interval"' not in drawn


def test_doubts_and_gaps_give_their_reason() -> None:
    weak = estimate(0.2, 0.1, 0.3, status="unreliable", reason="few & heavy weights")
    assert "unreliable: few &amp; heavy weights" in cell(weak, Scale.over([weak]))
    assert cell(estimate(None, None, None, status="undefined", reason="<none>"), Scale(0, 1)).endswith(
        "undefined: &lt;none&gt;</td>"
    )
    assert "–" in cell(None, Scale(0, 1))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.5, "0.500"),
        (-0.05, "-0.0500"),
        (1234.4, "1234"),
        (0.00012, "0.000120"),
        (1e-9, "1.0e-09"),
    ],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text
