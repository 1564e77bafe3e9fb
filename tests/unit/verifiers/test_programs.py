import shutil

import pytest
from pydantic import TypeAdapter

from api_schemas.signals import Signal
from workers.verifiers.judgement import AnswerKey
from workers.verifiers.means import Allowed, Means
from workers.verifiers.registry import build_verifier

pytestmark = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
RIGHT = "def add(a, b):\n    return a + b\n"
WRONG = "def add(a, b):\n    return a - b\n"


@pytest.fixture(scope="module")
def allowed() -> Means:
    return Means(Allowed(python=True))


@pytest.fixture
def outcome(allowed):
    def judge(text, finish="eos", prompt="", tests="assert add(1, 2) == 3", **settings):
        signal = TypeAdapter(Signal).validate_python({"kind": "python", "seconds": 1, **settings})
        verifier = build_verifier(signal.model_dump(mode="json"), allowed)
        return verifier.judge(text, AnswerKey(tests=tests, prompt=prompt), finish).outcome

    return judge


@pytest.mark.parametrize(
    ("text", "finish", "expected"),
    [
        (RIGHT, "eos", "correct"),
        (f"Like this:\n```python\n{RIGHT}```\nDone.", "eos", "correct"),
        (f"```python\n{WRONG}```\nNo, rather:\n```\n{RIGHT}```", "eos", "correct"),
        (f"```python\n{RIGHT}```\nNo, rather:\n```\n{WRONG}```", "eos", "incorrect"),
        (WRONG, "eos", "incorrect"),
        (WRONG, "length", "truncated"),
        (f"```python\n{WRONG}```", "length", "incorrect"),
        (RIGHT, "length", "correct"),
        ("I cannot do that.", "eos", "unparsed"),
        ("def add(a, b):\n    return (a +", "length", "truncated"),
        ("", "eos", "unparsed"),
        ("", "length", "truncated"),
        ("def add(a, b):\n    while True: pass", "eos", "incorrect"),
    ],
)
def test_outcomes(outcome, text, finish, expected):
    assert outcome(text, finish) == expected


def test_a_completion_that_goes_on_with_the_prompt(outcome):
    prompt = "def add(a, b):\n"
    assert outcome("    return a + b\n", prompt=prompt, program="prompt_and_completion") == "correct"
    assert outcome("    return a + b\n", prompt=prompt) == "unparsed"


def test_a_prompt_without_tests_is_a_fault_of_the_verifier(outcome):
    assert outcome(RIGHT, tests=None) == "verifier_error"
