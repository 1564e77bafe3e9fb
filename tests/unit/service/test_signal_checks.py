"""What the gateway accepts, the workers' verifiers must be able to judge, and the other way round."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_schemas.extraction import Extract
from api_schemas.prompts import Prompt
from api_schemas.signals import (
    ChoiceSignal,
    ContainsSignal,
    ExactSignal,
    HttpSignal,
    JsonSchemaSignal,
    NumericSignal,
    PythonSignal,
    RegexSignal,
    Signal,
)
from service.analyses.answer_checks import MAX_NUMERAL, is_numeral
from service.analyses.pattern_checks import PROGRAM_BYTES, pattern_fault
from service.analyses.signal_checks import check_signal
from service.offers import Offers
from workers.verifiers import compiled, numeric
from workers.verifiers.compiled import PatternError, compile_pattern
from workers.verifiers.numeric import parse_number

EVERYTHING = Offers(python=True, http_hosts=frozenset({"judge.example.com", "other.example:8443"}))


def prompt(answer: str | None = None, **more: object) -> Prompt:
    return Prompt.model_validate({"id": "p", "prompt": "x", "answer": answer, **more})


def found(
    signal: Signal, *prompts: Prompt, max_patterns: int = 100, offers: Offers = EVERYTHING
) -> list[tuple[str, str]]:
    return [
        (f.code, f.pointer) for f in check_signal(signal, prompts, max_patterns=max_patterns, offers=offers)
    ]


@given(st.text("0123456789+-.,eE \n٣", max_size=12) | st.floats().map(str) | st.integers().map("{:,}".format))
def test_numerals_are_those_the_verifier_reads(text: str) -> None:
    assert is_numeral(text) == (parse_number(text) is not None)


@given(st.text("ab(?=!<)[]{}1,9\\d*+.|^$", max_size=12))
def test_patterns_are_those_the_verifier_compiles(pattern: str) -> None:
    try:
        compile_pattern(pattern)
        compiles = True
    except PatternError:
        compiles = False
    assert (pattern_fault(pattern) is None) == compiles


def test_limits_are_the_verifiers_own() -> None:
    assert PROGRAM_BYTES == compiled.PROGRAM_BYTES
    assert MAX_NUMERAL == numeric.MAX_DIGITS


@pytest.mark.parametrize(
    ("pattern", "advice"),
    [
        (r"(?<=answer: )\d+", "group 1"),
        (r"\d+(?= apples)", "group 1"),
        (r"(?!x)y", "group 1"),
        (r"(a)\1", "Backreferences"),
        (r"a{1000}{1000}", "Repeat fewer times"),
        (r"\pL{1000}", "Repeat fewer times"),
        (r"(a", "syntax"),
    ],
)
def test_refused_patterns_come_with_the_repair(pattern: str, advice: str) -> None:
    signal = RegexSignal(kind="regex", pattern=pattern)
    [finding] = check_signal(signal, [prompt()], max_patterns=1, offers=EVERYTHING)
    assert (finding.code, finding.pointer) == ("invalid_pattern", "/signal/pattern")
    assert advice in finding.detail


def test_the_extraction_pattern_is_checked_for_every_kind() -> None:
    signal = ExactSignal(kind="exact", extract=Extract(pattern="("))
    assert found(signal, prompt("1")) == [("invalid_pattern", "/signal/extract/pattern")]


def test_every_prompt_needs_an_answer_unless_one_pattern_judges_all() -> None:
    missing = [("answer_missing", "/prompts/inline/1")]
    assert found(ExactSignal(kind="exact"), prompt("1"), prompt()) == missing
    assert found(NumericSignal(kind="numeric"), prompt("1"), prompt()) == missing
    assert found(RegexSignal(kind="regex"), prompt("1"), prompt()) == missing
    assert found(RegexSignal(kind="regex", pattern="a+"), prompt()) == []


def test_numeric_answers_must_be_numbers() -> None:
    prompts = [prompt("1,234.5e6"), prompt("forty-two"), prompt(answers=["1", "2/3"])]
    assert found(NumericSignal(kind="numeric"), *prompts) == [
        ("answer_not_a_number", "/prompts/inline/1/answer"),
        ("answer_not_a_number", "/prompts/inline/2/answers/1"),
    ]


def test_answers_of_a_regex_signal_are_patterns() -> None:
    prompts = [prompt("4|2"), prompt("(?=x)"), prompt("(?=x)")]
    assert found(RegexSignal(kind="regex"), *prompts) == [
        ("invalid_pattern", "/prompts/inline/1/answer"),
        ("invalid_pattern", "/prompts/inline/2/answer"),
    ]


def test_distinct_patterns_are_bounded_and_repeated_ones_are_free() -> None:
    same = [prompt("a") for _ in range(5)]
    assert found(RegexSignal(kind="regex"), *same, max_patterns=1) == []
    differ = [prompt("a"), prompt("b")]
    assert found(RegexSignal(kind="regex"), *differ, max_patterns=1) == [
        ("too_many_patterns", "/prompts/inline/1/answer")
    ]


def test_every_pattern_of_a_behaviour_is_checked() -> None:
    named = [{"label": "a", "pattern": "a"}, {"label": "b", "pattern": "(?=b)"}]
    signals = [
        ExactSignal.model_validate({"kind": "exact", "behaviour": {"by": "patterns", "patterns": named}}),
        ExactSignal.model_validate({"kind": "exact", "behaviour": {"by": "capture", "pattern": "("}}),
    ]
    assert [found(signal, prompt("1")) for signal in signals] == [
        [("invalid_pattern", "/signal/behaviour/patterns/1/pattern")],
        [("invalid_pattern", "/signal/behaviour/pattern")],
    ]


def test_a_label_by_answer_needs_answers() -> None:
    common = {"kind": "regex", "behaviour": {"by": "answer"}}
    assert found(RegexSignal.model_validate(common), prompt("1")) == []
    assert found(RegexSignal.model_validate({**common, "pattern": "1"}), prompt("1")) == [
        ("behaviour_without_answers", "/signal/behaviour/by")
    ]


def test_a_signal_that_is_off_is_refused_with_who_can_switch_it_on() -> None:
    program = PythonSignal(kind="python")
    (finding,) = check_signal(program, [prompt()], max_patterns=9, offers=Offers())
    assert (finding.code, finding.pointer) == ("signal_unavailable", "/signal/kind")
    assert "TILTSCOPE_PYTHON_SIGNAL" in finding.detail
    http = HttpSignal(kind="http", url="https://judge.example.com/")
    assert found(http, prompt(), offers=Offers()) == [("signal_unavailable", "/signal/kind")]


def test_a_program_needs_tests() -> None:
    signal = PythonSignal(kind="python")
    assert found(signal, prompt(), prompt(tests="assert f() == 1")) == [
        ("tests_missing", "/prompts/inline/0")
    ]


@pytest.mark.parametrize(
    ("url", "offered"),
    [
        ("https://judge.example.com/grade", True),
        ("https://JUDGE.example.com./grade", True),
        ("https://other.example:8443/", True),
        ("https://other.example/", False),
        ("https://judge.example.com:8443/", False),
        ("http://judge.example.com/", False),
        ("https://judge.example.com.evil.example/", False),
        ("https://judge.example.com@evil.example/", False),
        ("https://user:pass@judge.example.com/", False),
        ("https://127.0.0.1/", False),
        ("http://localhost:9000/", False),
        ("https://judge.example.com:99999/", False),
    ],
)
def test_only_allowed_hosts_over_https(url: str, offered: bool) -> None:
    places = found(HttpSignal(kind="http", url=url), prompt())
    assert places == ([] if offered else [("url_refused", "/signal/url")])


def test_this_machine_only_where_the_operator_says_so() -> None:
    here = HttpSignal(kind="http", url="http://127.0.0.1:9000/")
    assert found(here, prompt(), offers=Offers(http_loopback=True)) == []
    private = HttpSignal(kind="http", url="http://10.0.0.1/")
    assert found(private, prompt(), offers=Offers(http_loopback=True)) == [("url_refused", "/signal/url")]


def test_choices_and_containment_need_answers_that_can_be_given() -> None:
    options = {"choices": ["Paris", "Rome"]}
    assert found(ChoiceSignal(kind="choice"), prompt("rome", **options), prompt("C", **options)) == [
        ("answer_not_an_option", "/prompts/inline/1/answer")
    ]
    assert found(ContainsSignal(kind="contains"), prompt(" ")) == [
        ("answer_empty", "/prompts/inline/0/answer")
    ]


def test_a_schema_is_checked_wherever_it_stands() -> None:
    elsewhere = {"$ref": "https://example.com/x"}
    assert found(JsonSchemaSignal(kind="json_schema", json_schema=elsewhere), prompt()) == [
        ("invalid_schema", "/signal/json_schema")
    ]
    assert found(JsonSchemaSignal(kind="json_schema"), prompt('{"type": 1}'), prompt("{")) == [
        ("invalid_schema", "/prompts/inline/0/answer"),
        ("invalid_schema", "/prompts/inline/1/answer"),
    ]
    assert found(JsonSchemaSignal(kind="json_schema"), prompt('{"type": "null"}')) == []
    for value in ("40", "null", '"text"', "[1]", "1.5"):
        (fault,) = found(JsonSchemaSignal(kind="json_schema"), prompt(value))
        assert fault[0] == "invalid_schema"
