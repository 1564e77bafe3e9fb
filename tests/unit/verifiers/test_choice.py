import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.analyses.answer_checks import is_option
from workers.verifiers.choice import LETTERS, chosen_option, option_of

CITIES = ("Paris", "Rome", "Bern")


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("B", "B"),
        ("b", "B"),
        ("(B)", "B"),
        ("**B.**", "B"),
        ("$B$", "B"),
        ("B) Rome", "B"),
        ("B. Rome", "B"),
        ("Rome", "B"),
        (" rome. ", "B"),
        ("The answer is B.", "B"),
        ("the answer is (B), not A", "B"),
        ("Answer: B", "B"),
        ("First I say the answer is A. No, the answer is C.", "C"),
        ("The correct option is **C**", "C"),
        ("D", None),
        ("The answer is D", None),
        ("A city in Italy", None),
        ("The answer is Always the same", None),
        ("I am sure", None),
        ("", None),
    ],
)
def test_the_option_a_text_names(text, chosen):
    assert chosen_option(text, CITIES) == chosen


def test_without_options_any_letter_is_one():
    assert chosen_option("(E)", ()) == "E"


@pytest.mark.parametrize(
    ("text", "finish", "outcome"),
    [
        ("B", "eos", "correct"),
        ("Rome", "length", "correct"),
        ("A", "eos", "incorrect"),
        ("A", "length", "incorrect"),
        ("Let me think", "eos", "unparsed"),
        ("Let me think", "length", "truncated"),
    ],
)
@pytest.mark.parametrize("answer", ["B", "b", "Rome"])
def test_outcomes(judged, text, finish, outcome, answer):
    judgement = judged({"kind": "choice"}, text, [answer], finish, choices=CITIES)
    assert judgement.outcome == outcome
    assert judgement.answer == ("B" if outcome == "correct" else None)


def test_an_answer_that_is_no_option_is_a_fault_of_the_verifier(judged):
    assert judged({"kind": "choice"}, "B", ["Oslo"], choices=CITIES).outcome == "verifier_error"


@given(st.sampled_from([*CITIES, "b", "D", "rome.", "", "Oslo", "é"]), st.integers(0, 3))
def test_gateway_and_verifier_agree_on_what_is_an_option(answer, count):
    assert is_option(answer, CITIES[:count]) == (option_of(answer, CITIES[:count]) is not None)


@given(st.text(max_size=40), st.integers(0, 3))
def test_a_named_option_is_one_that_is_offered(text, count):
    chosen = chosen_option(text, CITIES[:count])
    assert chosen is None or chosen in (LETTERS[:count] if count else LETTERS)
