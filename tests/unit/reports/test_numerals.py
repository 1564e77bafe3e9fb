import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.reports.numerals import count, exact, is_number, numeral, percent


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0, "0"),
        (-0.0, "0"),
        (1, "1"),
        (0.12345, "0.123"),
        (2.34567, "2.35"),
        (12.345, "12.3"),
        (1234.5, "1,234"),
        (4096, "4,096"),
        (0.00012, "1.2×10⁻⁴"),
        (6e-6, "6×10⁻⁶"),
        (-0.5, "−0.500"),
        (1e12, "1×10¹²"),
    ],
)
def test_numeral(value, text):
    assert numeral(value) == text


def test_signs_are_printed_where_asked_but_zero_has_none():
    assert [numeral(v, signed=True) for v in (0.25, 0.0, -0.25)] == ["+0.250", "0", "−0.250"]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_no_number(value):
    assert not is_number(value)
    with pytest.raises(ValueError, match="not finite"):
        numeral(value)


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0"),
        (1, "100"),
        (0.05, "5"),
        (0.123, "12"),
        (0.0123, "1.2"),
        (0.0003, "<0.1"),
        (0.9999, ">99.9"),
        (0.996, "99.6"),
    ],
)
def test_percent_never_rounds_to_none_or_all(share, text):
    assert percent(share) == f"{text}\N{NO-BREAK SPACE}%"


@given(st.floats(-1e300, 1e300))
def test_a_numeral_tells_its_number_to_two_digits(value):
    text = numeral(value)
    plain = text.replace(",", "").replace("−", "-")
    if "×10" in plain:
        mantissa, power = plain.split("×10")
        ascii_power = power.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
        plain = f"{mantissa}e{ascii_power}"
    assert float(plain) == pytest.approx(value, rel=0.08)


def test_settings_are_printed_as_they_were_chosen():
    assert [exact(v) for v in (0.05, 1.0, 4096, 0.5, 0.001)] == ["0.05", "1", "4,096", "0.5", "0.001"]


def test_counts_agree_with_their_nouns():
    assert count(1, "prompt") == "1 prompt"
    assert count(2, "success", "successes") == "2 successes"
