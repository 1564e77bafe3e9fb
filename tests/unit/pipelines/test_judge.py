from workers.pipelines import judge as judging
from workers.pipelines.judge import Judge
from workers.verifiers.judgement import AnswerKey, Case, Judgement

EXACT = {"kind": "exact", "extract": None, "behaviour": None}


class Scripted:
    """A verifier that raises on junk and remembers what it was asked."""

    version = "scripted/1"

    def __init__(self):
        self.asked = []

    def judge(self, text, key, finish_reason):
        self.asked.append(text)
        if text == "junk":
            raise RuntimeError("a secret of the verifier")
        return Judgement("correct", 1.0)


def scripted(monkeypatch):
    verifier = Scripted()
    monkeypatch.setattr(judging, "build_verifier", lambda signal, means: verifier)
    return verifier


def cases(*texts):
    return [Case(text, AnswerKey(("1",)), "eos") for text in texts]


def test_a_verifier_that_raises_is_a_verifier_error_of_that_text_alone(monkeypatch):
    scripted(monkeypatch)
    found = Judge().judge(EXACT, cases("a", "junk", "b"))
    assert [judgement.outcome for judgement in found] == ["correct", "verifier_error", "correct"]
    assert found[1].detail == "the verifier raised RuntimeError"


def test_equal_texts_are_judged_once_and_a_stochastic_signal_each_time(monkeypatch):
    verifier = scripted(monkeypatch)
    Judge().judge(EXACT, cases("a", "b", "a", "a"))
    assert verifier.asked == ["a", "b"]
    Judge().judge({**EXACT, "kind": "http"}, cases("a", "a"))
    assert verifier.asked == ["a", "b", "a", "a"]


def test_equal_texts_of_prompts_with_other_keys_are_judged_apart():
    found = Judge().judge(EXACT, [Case("1", AnswerKey((answer,)), "eos") for answer in ("1", "2")])
    assert [judgement.outcome for judgement in found] == ["correct", "incorrect"]


def test_order_is_kept_whatever_the_lanes(monkeypatch):
    texts = [str(number) for number in range(1_000)]
    found = Judge().judge(EXACT, [Case(text, AnswerKey((text[::-1],)), "eos") for text in texts])
    assert [j.outcome == "correct" for j in found] == [text == text[::-1] for text in texts]
