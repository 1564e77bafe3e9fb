import pytest


@pytest.mark.parametrize(
    ("settings", "text", "answers", "finish", "expected"),
    [
        ({}, "it is 42, I think", ["42"], "eos", "correct"),
        ({}, "it is 142", ["42"], "eos", "correct"),
        ({"whole_words": True}, "it is 142", ["42"], "eos", "incorrect"),
        ({"whole_words": True}, "142 or 42", ["42"], "eos", "correct"),
        ({"whole_words": True}, "x_42", ["42"], "eos", "incorrect"),
        ({}, "Rome", ["rome"], "eos", "incorrect"),
        ({"ignore_case": True}, "ROME", ["rome"], "eos", "correct"),
        ({"ignore_case": True}, "STRASSE", ["straße"], "eos", "correct"),
        ({}, "b", ["a", "b"], "eos", "correct"),
        ({"match": "all"}, "b", ["a", "b"], "eos", "incorrect"),
        ({"match": "all"}, "ba", ["a", "b"], "eos", "correct"),
        ({}, "it is", ["42"], "length", "truncated"),
        ({"extract": {"find": "boxed"}}, "42", ["42"], "eos", "unparsed"),
        ({"extract": {"find": "boxed"}}, r"\boxed{41}", ["42"], "length", "incorrect"),
        ({"extract": {"find": "boxed"}}, r"\boxed{x=42}", ["42"], "eos", "correct"),
    ],
)
def test_outcomes(judged, settings, text, answers, finish, expected):
    assert judged({"kind": "contains", **settings}, text, answers, finish).outcome == expected


def test_the_answer_that_stands_is_the_behaviour(judged):
    signal = {"kind": "contains", "behaviour": {"by": "answer"}}
    assert judged(signal, "by car", ["train", "car"]).behaviour == "car"
