import pytest

from workers.verifiers.child import Child

MATH = {"kind": "math"}
BOXED = {"kind": "math", "extract": {"find": "boxed"}}


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"\boxed{\frac{2}{4}}", "1/2"),
        (r"\boxed{0.5}", r"\frac{1}{2}"),
        (r"\boxed{x+1}", "1+x"),
        (r"\boxed{1,234}", "1234"),
        (r"\boxed{\{2,1\}}", r"\{1,2\}"),
        (r"\boxed{2\sqrt{2}}", r"\sqrt{8}"),
        (r"\boxed{50\%}", "0.5"),
    ],
)
def test_equal_as_mathematics(judged, text, answer):
    assert judged(BOXED, text, [answer]).outcome == "correct"
    assert judged(MATH, f"So it is ${text}$.", [answer]).outcome == "correct"


@pytest.mark.parametrize(
    ("signal", "text", "finish", "expected"),
    [
        (BOXED, r"\boxed{3}", "eos", "incorrect"),
        (BOXED, r"\boxed{3}", "length", "incorrect"),
        (BOXED, "3", "eos", "unparsed"),
        (BOXED, r"\boxed{1", "length", "truncated"),
        (BOXED, r"\boxed{}", "eos", "unparsed"),
        (MATH, "no idea", "eos", "unparsed"),
        (MATH, "first $3$", "length", "truncated"),
        (MATH, "The answer is 3.", "eos", "incorrect"),
        (MATH, "The answer is 0.5.", "eos", "correct"),
    ],
)
def test_outcomes(judged, signal, text, finish, expected):
    assert judged(signal, text, [r"\frac{1}{2}"], finish).outcome == expected


def test_the_answer_it_equals_is_named(judged):
    assert judged(BOXED, r"\boxed{2}", ["1", r"\frac{4}{2}"]).answer == r"\frac{4}{2}"


def test_an_answer_without_mathematics_is_a_fault_of_the_verifier(judged):
    assert judged(BOXED, r"\boxed{2}", [""]).outcome == "verifier_error"


@pytest.mark.parametrize("bomb", ["9^{9^{9}}", "100000000!", r"2^{2^{2^{2^{2^{2}}}}}"])
def test_a_bomb_costs_its_own_judgement_and_no_other(judged, bomb):
    judgement = judged(BOXED, rf"\boxed{{{bomb}}}", ["1"])
    assert judgement.outcome == "verifier_error"
    assert "CPU time" in judgement.detail
    assert judged(BOXED, r"\boxed{1}", [r"\frac{2}{2}"]).outcome == "correct"


def test_what_looks_like_python_is_not_run(judged, tmp_path):
    canary = tmp_path / "canary"
    code = f"__import__('pathlib').Path({str(canary)!r}).touch()"
    for text in (code, f"\\boxed{{{code}}}", f"${code}$", f"1+{code}", f"\\text{{{code}}}"):
        judged(MATH, text, ["1"])
        judged(BOXED, f"\\boxed{{{text}}}", ["1"])
    assert not canary.exists()


def test_a_child_has_no_secret(monkeypatch):
    monkeypatch.setenv("TILTSCOPE_DATABASE_URL", "postgresql://secret")
    kept = Child("json_schema")
    try:
        with open(f"/proc/{kept._process.pid}/environ", "rb") as environment:
            assert b"secret" not in environment.read()
    finally:
        kept.close()


def test_a_deep_expression_is_judged_and_survived(judged):
    deep = "(" * 5_000 + "1" + ")" * 5_000
    assert judged(BOXED, rf"\boxed{{{deep}}}", ["2"]).outcome != "correct"
    assert judged(BOXED, r"\boxed{2}", ["2.0"]).outcome == "correct"
