"""The rule "unseen in n = K samples", by hand and against its own error rate."""

import numpy as np
import pytest

from workers.estimators.literature import UnseenRule, chance_of_unseen, unseen_rule


def outcomes(text: str) -> list[bool]:
    return [mark == "1" for mark in text]


def test_by_hand() -> None:
    # K = 4. Prompt 1: seen. 2: unseen, candidate seen. 3: unseen, candidate seen only after K. 4: the
    # reference's only success comes after K. 5: three samples, none a success. 6: nothing drawn.
    reference = ["0100", "0000", "0000", "00001", "000", ""]
    candidate = ["1111", "0010", "00001", "1000", "100", "1111"]
    found = unseen_rule([outcomes(x) for x in reference], [outcomes(x) for x in candidate], budget=4)
    assert found == UnseenRule(
        budget=4,
        prompts=5,
        unreached=4,
        created_claims=3,
        reference_samples=3,
        candidate_samples=3,
        short=1,
    )


def test_without_a_candidate_nothing_is_claimed() -> None:
    found = unseen_rule([outcomes("0000")], None, budget=4)
    assert (found.unreached, found.created_claims, found.candidate_samples, found.short) == (1, 0, 0, 0)


def test_no_prompts() -> None:
    assert unseen_rule([], [], budget=4) == UnseenRule(4, 0, 0, 0, 0, 0, 0)


def test_calls_reachable_prompts_unreached_as_often_as_stated() -> None:
    # pass@K = 0.87 is called unreached 13 % of the time.
    assert chance_of_unseen(0.87, 256) == pytest.approx(0.13)
    rng = np.random.default_rng(0)
    a = 1 - 0.13 ** (1 / 256)
    found = unseen_rule(list(rng.random((4000, 256)) < a), None, budget=256)
    assert found.unreached / 4000 == pytest.approx(0.13, abs=0.02)


@pytest.mark.parametrize(("candidate", "budget"), [([[True]], 0), ([], 4)])
def test_refusals(candidate: list[list[bool]], budget: int) -> None:
    with pytest.raises(ValueError, match=r"K is at least 1|same prompts"):
        unseen_rule([[True]], candidate, budget=budget)
