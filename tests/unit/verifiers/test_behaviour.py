import pytest
from pydantic import TypeAdapter

from api_schemas.signals import Signal
from workers.verifiers.judgement import AnswerKey
from workers.verifiers.registry import build_verifier


def behaviour(text, settings, answers=("42",), **signal):
    made = TypeAdapter(Signal).validate_python({"kind": "exact", "behaviour": settings, **signal})
    verifier = build_verifier(made.model_dump(mode="json"))
    return verifier.judge(text, AnswerKey(tuple(answers)), "eos").behaviour


BY_NAME = {
    "by": "patterns",
    "patterns": [{"label": "carry", "pattern": "carry"}, {"label": "split", "pattern": "split|parts"}],
}
AT_END = {"find": "last_number"}


@pytest.mark.parametrize(
    ("text", "settings", "expected"),
    [
        ("using sums: 42", {"by": "capture", "pattern": "using ([a-z]+)"}, "sums"),
        ("42", {"by": "capture", "pattern": "using ([a-z]+)"}, None),
        ("using a, using b: 42", {"by": "capture", "pattern": "using [a-z]"}, "using b"),
        ("using a, using b: 42", {"by": "capture", "pattern": "using [a-z]", "which": "first"}, "using a"),
        ("in parts, carry: 42", BY_NAME, "carry"),
        ("in parts: 42", BY_NAME, "split"),
        ("42", BY_NAME, None),
        ("42", {**BY_NAME, "otherwise": "plain"}, "plain"),
        ("in parts: 43", BY_NAME, None),  # no success, no behaviour
        ("42", {"by": "answer"}, "42"),
        ("42", None, None),
    ],
)
def test_a_success_bears_the_label_of_its_whole_text(text, settings, expected):
    assert behaviour(text, settings, extract=AT_END) == expected


def test_answers_are_the_modes_of_a_prompt():
    assert behaviour(" 7 ", {"by": "answer"}, answers=("42", "7")) == "7"
    assert behaviour("7.0", {"by": "answer"}, answers=("42", "7"), kind="numeric") == "7"
    assert behaviour("ab", {"by": "answer"}, answers=("x", "a."), kind="regex") == "a."


def test_a_captured_label_is_a_name_not_a_text():
    assert behaviour("42" + "x" * 900, {"by": "capture", "pattern": "x+"}, extract=AT_END) == "x" * 200
