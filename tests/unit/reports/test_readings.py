import math

import pytest
from document_parts import estimate, mean, undefined

from workers.reports.footnotes import gather
from workers.reports.readings import Reading, read


def test_a_settled_estimate_has_value_and_interval():
    reading = read(estimate(0.25, 0.05))
    assert (reading.value, reading.interval, reading.note, reading.status) == (
        "0.250",
        "[0.200, 0.300]",
        "",
        "ok",
    )
    assert float(reading.key) == 0.25


def test_an_undefined_estimate_says_why():
    reading = read(undefined("no samples"))
    assert (reading.value, reading.note, reading.key) == ("not defined", "no samples", "")


def test_a_code_becomes_words_alone_and_inside_a_count():
    assert "probability zero" in read(undefined("truncated_support")).note
    assert read(undefined("8 of 10 prompts excluded: 8 truncated_support")).note.endswith(
        "8 truncated support"
    )


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [(2.0, None, "at least 2"), (None, 2.5, "at most 2.50"), (1.0, 2.0, "1 to 2")],
)
def test_a_censored_estimate_prints_its_bounds(low, high, shown):
    reading = read(
        estimate(None, ci_low=low, ci_high=high, confidence=0.95, status="censored", reason="no success")
    )
    assert (reading.value, reading.note, reading.status) == (shown, "no success", "censored")


def test_an_unreliable_estimate_keeps_its_value_and_says_so():
    reading = read(estimate(1.0, status="unreliable", reason="one sample carries most of Z"))
    assert (reading.value, reading.note) == ("1", "unreliable: one sample carries most of Z")
    assert read(estimate(1.0, status="unreliable", reason="3 prompts unreliable")).note == (
        "3 prompts unreliable"
    )


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_never_printed(value):
    reading = read({**estimate(0.5), "value": value, "ci_low": value, "ci_high": None})
    assert reading.value == "not defined"
    assert "nan" not in reading.sentence.lower()
    assert "inf" not in reading.sentence.lower()


def test_a_confidence_other_than_95_is_named():
    assert read(estimate(0.5, 0.1, confidence=0.9)).interval == "[0.400, 0.600] at 90\N{NO-BREAK SPACE}%"


def test_the_spread_for_these_prompts_is_196_standard_errors():
    # mean(half=0.4) has a sampling standard error of 0.1
    assert read(mean(1.0, 0.4)).spread == "± 0.196"
    assert read({**mean(1.0), "sampling_std_error": 0.0}).spread == ""
    assert read({**mean(1.0), "sampling_std_error": None}).spread == ""


def test_notes_shared_by_several_readings_become_footnotes():
    readings = [Reading("1", note="a"), Reading("2", note="b"), Reading("3", note="a"), Reading("4")]
    noted, notes = gather(readings)
    assert notes == ("a",)
    assert [(r.note, r.footnote) for r in noted] == [("", 1), ("b", 0), ("", 1), ("", 0)]
