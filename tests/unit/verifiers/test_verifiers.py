from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.verifiers.compiled import PatternError, compile_pattern
from workers.verifiers.judgement import AnswerKey
from workers.verifiers.numeric import NumericVerifier, parse_number
from workers.verifiers.registry import UnknownSignalError, build_verifier

EXACT = {"kind": "exact", "extract": None, "behaviour": None}
NUMERIC = {**EXACT, "kind": "numeric", "absolute_tolerance": 0.0, "relative_tolerance": 0.0}
REGEX = {**EXACT, "kind": "regex", "pattern": None, "match": "full"}
MARKED = {"find": "pattern", "pattern": r"answer: (\w+)", "which": "last"}


def outcome(signal, text, answers, finish="eos"):
    return build_verifier(signal).judge(text, AnswerKey(tuple(answers)), finish).outcome


@pytest.mark.parametrize(
    ("text", "finish", "expected"),
    [
        ("42", "eos", "correct"),
        (" 42\n", "eos", "correct"),
        ("42", "length", "correct"),
        ("4", "eos", "incorrect"),
        ("4", "length", "truncated"),
        ("", "length", "truncated"),
        ("43", "length", "incorrect"),
        ("421", "length", "incorrect"),
        ("", "eos", "incorrect"),
    ],
)
def test_exact(text, finish, expected):
    assert outcome(EXACT, text, ["42", "forty-two"], finish) == expected


def test_exact_with_extraction():
    signal = {**EXACT, "extract": MARKED}
    assert outcome(signal, "answer: 7 no, answer: 42", ["42"]) == "correct"
    assert outcome({**EXACT, "extract": {**MARKED, "which": "first"}}, "answer: 7, answer: 42", ["42"]) == (
        "incorrect"
    )
    assert outcome(signal, "I think 42", ["42"]) == "unparsed"
    assert outcome(signal, "I think", ["42"], "length") == "truncated"
    assert outcome(signal, "answer: 4", ["42"], "length") == "incorrect"


@pytest.mark.parametrize(
    ("text", "finish", "expected"),
    [
        ("42", "eos", "correct"),
        ("42.0", "eos", "correct"),
        ("4.2e1", "eos", "correct"),
        ("+42", "eos", "correct"),
        ("41.99", "eos", "incorrect"),
        ("four", "eos", "unparsed"),
        ("nan", "eos", "unparsed"),
        ("4", "length", "truncated"),
        ("7", "length", "incorrect"),
        ("42.5", "length", "incorrect"),
        ("-", "length", "truncated"),
        ("4.2e", "length", "truncated"),
        ("-4", "length", "incorrect"),
    ],
)
def test_numeric(text, finish, expected):
    assert outcome(NUMERIC, text, ["42"], finish) == expected


def test_numeric_tolerance_is_decimal_and_relative_to_the_answer():
    signal = {**NUMERIC, "relative_tolerance": 0.1}
    assert outcome(signal, "1.1", ["1"]) == "correct"
    assert outcome(signal, "1.1000001", ["1"]) == "incorrect"
    assert outcome({**NUMERIC, "absolute_tolerance": 0.5}, "1,000.5", ["1000"]) == "correct"


def test_numeric_answer_that_is_no_number_is_a_fault_of_the_verifier():
    assert outcome(NUMERIC, "42", ["forty-two"]) == "verifier_error"


@given(st.integers(-(10**6), 10**6), st.integers(0, 7))
def test_every_proper_prefix_of_an_answer_may_still_reach_it(answer, cut):
    text = str(answer)[:cut]
    verifier = NumericVerifier(None, Decimal(0), Decimal(0))
    got = verifier.judge(text, AnswerKey((str(answer),)), "length").outcome
    assert got in ("truncated", "correct")
    assert (got == "correct") == (parse_number(text) == answer)


@pytest.mark.parametrize(
    ("pattern", "match", "text", "finish", "expected"),
    [
        (r"4\d", "full", "42", "eos", "correct"),
        (r"4\d", "full", "x42", "eos", "incorrect"),
        (r"4\d", "search", "x42", "eos", "correct"),
        (r"4\d", "full", "x", "length", "truncated"),
        (None, "full", "ab", "eos", "correct"),
    ],
)
def test_regex(pattern, match, text, finish, expected):
    assert outcome({**REGEX, "pattern": pattern, "match": match}, text, ["a."], finish) == expected


@pytest.mark.parametrize("pattern", [r"(?=a)", r"(a)\1", "(", "((a{1000}){1000}){1000}"])
def test_unsafe_patterns_are_refused(pattern):
    with pytest.raises(PatternError, match="RE2 refuses"):
        compile_pattern(pattern)


def test_a_pattern_that_backtracks_elsewhere_runs_in_linear_time():
    assert outcome({**REGEX, "pattern": "(a+)+$"}, "a" * 1_000_000 + "b", []) == "incorrect"


def test_unknown_signal():
    with pytest.raises(UnknownSignalError):
        build_verifier({**EXACT, "kind": "oracle"})
