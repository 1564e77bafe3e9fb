"""One worked example of each signal: what it takes, what it accepts, what it refuses."""

from typing import Any, Final

from api_schemas.signals import SignalExample


def _example(signal: dict[str, Any], accepted: str, refused: str, **prompt: Any) -> SignalExample:
    asked = {"id": "p1", "prompt": prompt.pop("prompt"), **prompt}
    return SignalExample(signal=signal, prompt=asked, accepted=accepted, refused=refused)


EXAMPLES: Final[dict[str, SignalExample]] = {
    "exact": _example({"kind": "exact"}, "42", "43", prompt="12+30=", answer="42"),
    "numeric": _example(
        {"kind": "numeric", "extract": {"find": "last_number"}, "relative_tolerance": 0.01},
        "about 3.14",
        "about 3.2",
        prompt="What is pi?",
        answer="3.14159",
    ),
    "regex": _example(
        {"kind": "regex", "pattern": "[0-9]{4}-[0-9]{2}-[0-9]{2}", "match": "search"},
        "on 1969-07-20",
        "in July 1969",
        prompt="When did they land? Give the date as YYYY-MM-DD.",
    ),
    "choice": _example(
        {"kind": "choice"},
        "The answer is (B).",
        "A",
        prompt="Capital of Italy? A) Paris B) Rome",
        choices=["Paris", "Rome"],
        answer="Rome",
    ),
    "contains": _example(
        {"kind": "contains", "ignore_case": True, "whole_words": True},
        "It was rome, of course.",
        "It was Romelia.",
        prompt="Capital of Italy?",
        answer="Rome",
    ),
    "math": _example(
        {"kind": "math", "extract": {"find": "boxed"}},
        "So it is \\boxed{\\frac{2}{4}}.",
        "So it is \\boxed{2}.",
        prompt="What is 1/4 + 1/4?",
        answer="1/2",
    ),
    "python": _example(
        {"kind": "python"},
        "```python\ndef add(a, b):\n    return a + b\n```",
        "```python\ndef add(a, b):\n    return a - b\n```",
        prompt="Write a Python function add(a, b).",
        tests="assert add(1, 2) == 3\nassert add(-1, 1) == 0",
    ),
    "http": _example(
        {
            "kind": "http",
            "url": "https://judge.example.com/grade",
            "headers": {"Authorization": "Bearer {{secret:token}}"},
            "body": {"question": "{{prompt}}", "answer": "{{completion}}", "key": "{{answer}}"},
            "reward_at": "/grade/score",
            "success_threshold": 0.5,
        },
        "Rome, I believe",
        "Paris",
        prompt="Capital of Italy?",
        answer="Rome",
    ),
    "reward_model": _example(
        {"kind": "reward_model", "model": "taste", "success_threshold": 0.5, "activation": "sigmoid"},
        "ba",
        "ab",
        prompt="fe",
    ),
    "demonstrations": _example(
        {"kind": "demonstrations"},
        "Rome",
        "It is Rome.",
        prompt="Capital of Italy?",
        demonstrations=[{"text": "Rome"}, {"text": "Rome."}],
    ),
    "json_schema": _example(
        {
            "kind": "json_schema",
            "json_schema": {
                "type": "object",
                "properties": {"year": {"type": "integer"}},
                "required": ["year"],
            },
        },
        '{"year": 1969}',
        '{"year": "1969"}',
        prompt="When did they land? Answer as JSON with `year`.",
    ),
}
