import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from api_schemas.extraction import Extract
from workers.verifiers.extraction import build_extraction


def found(text, **settings):
    extraction = build_extraction(Extract.model_validate(settings).model_dump(mode="json"))
    assert extraction is not None
    return extraction.find(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"so \boxed{42}.", "42"),
        (r"\boxed{1} or rather \boxed{ 2 }", "2"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\fbox{7}", "7"),
        (r"\boxed {7}", "7"),
        (r"\boxed{\text{a \boxed{b}}}", r"\text{a \boxed{b}}"),
        (r"\boxed{3} and \boxed{\frac{1}{2", "3"),
        (r"\boxed{\frac{1}{2", None),
        (r"\boxed 5", None),
        ("42", None),
        (r"\boxed{}", ""),
    ],
)
def test_boxed(text, expected):
    assert found(text, find="boxed") == expected


def test_the_first_box_where_asked():
    assert found(r"\boxed{1}, \boxed{2}", find="boxed", which="first") == "1"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12 apples and 30 pears", "30"),
        ("it costs $1,234.50.", "1,234.50"),
        ("5-3", "3"),
        ("x = -3", "-3"),
        ("(2)-7", "7"),
        ("about -.5e-3 m", "-.5e-3"),
        ("3, 4, 5", "5"),
        ("1,23", "23"),
        ("none", None),
        ("v2", "2"),
        ("minus -", None),
    ],
)
def test_last_number(text, expected):
    assert found(text, find="last_number") == expected


@given(st.integers(-(10**9), 10**9), st.text("abc .,=", max_size=10))
def test_a_number_at_the_end_is_found_as_written(number, before):
    assert found(f"{before.rstrip(',.abc')} {number}", find="last_number") == str(number)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The answer is 42.", "42"),
        ("THE ANSWER IS: **42**\nbye", "42"),
        ("the answer is $x+1$.", "x+1"),
        ("the answer is 3.5", "3.5"),
        ("the answer is 1\nNo: the answer is 2", "2"),
        ("the answer is 2, and the answer is", "2, and the answer is"),
        ("the answer is\n42", None),
        ("42", None),
    ],
)
def test_after_a_marker(text, expected):
    assert found(text, find="after", marker="the answer is") == expected


def test_a_marker_is_no_pattern():
    assert found("a.b 1, a+b 2", find="after", marker="a+b") == "2"


def test_a_pattern_still_needs_no_find():
    assert found("#### 42", pattern="#### ([0-9]+)") == "42"


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"find": "after"},
        {"find": "boxed", "pattern": "x"},
        {"pattern": "x", "marker": "y"},
        {"find": "last_number", "which": "first"},
    ],
)
def test_settings_that_say_too_little_or_too_much_are_refused(settings):
    with pytest.raises(ValidationError, match=r"needs a|no use with|always the last"):
        Extract.model_validate(settings)


@given(st.text("\\boxed{} f12", max_size=30))
def test_a_found_box_is_balanced_and_in_the_text(text):
    content = found(text, find="boxed")
    if content is not None:
        assert content in text
