from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.estimators.crossing import crossing_k, pass_at_k_curves


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(st.integers(1, 30).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_curves_match_exact_rationals(nck: tuple[int, int, int]) -> None:
    n, c, k = nck
    curve = pass_at_k_curves(np.array([c]), np.array([n]), n)[0]
    assert curve[k - 1] == pytest.approx(1 - comb(n - c, k) / comb(n, k), abs=1e-12)
    assert (np.diff(curve) >= -1e-12).all()


def test_a_crossing_by_hand() -> None:
    # n = 4. Reference 2 of 4 on both prompts: 1/2, 5/6, 1, 1. Candidate 4 and 1 of 4: (1 + 1/4)/2 = 0.625,
    # (1 + 1/2)/2 = 0.75, ... The reference is behind at 1 and ahead at 2.
    n = np.array([4, 4])
    got = crossing_k(np.array([2, 2]), n, np.array([4, 1]), n, rng())
    assert got.value == 2.0
    assert (got.ci_low or 0) <= 2.0
    assert (got.unit, got.n) == ("samples", 2)


def test_no_crossing_is_censored() -> None:
    n = np.full(10, 16)
    got = crossing_k(np.zeros(10, dtype=int), n, np.full(10, 8), n, rng())
    assert (got.value, got.ci_low, got.ci_high, got.status) == (None, None, None, "censored")
    assert got.reason == "does not cross within n = 16"


def test_equal_sides_cross_at_once() -> None:
    c, n = np.array([1, 5, 0]), np.full(3, 8)
    got = crossing_k(c, n, c, n, rng())
    assert (got.value, got.ci_low, got.ci_high) == (1.0, 1.0, 1.0)


def test_an_open_upper_end() -> None:
    # Both solve half of the prompts in 32 samples, not the same half: resamples tip either way.
    n = np.full(12, 32)
    got = crossing_k(np.repeat([0, 3], 6), n, np.repeat([20, 0], 6), n, rng(1))
    # 3 successes of 32 leave 29 failures: pass@30 is the first that is certain, and equals the candidate's.
    assert got.value == 30.0
    assert (got.ci_high, got.status) == (None, "censored")


def test_interval_covers_the_population_crossing() -> None:
    # Half of all prompts: a = 0.15 against 0.6; half: 0.15 against 0. Means cross where
    # 1 - 0.85^k = (1 - 0.4^k)/2, between k = 4 and 5.
    k = np.arange(1, 33)
    exact = int(k[np.argmax(1 - 0.85**k >= (1 - 0.4**k) / 2)])
    assert exact == 5
    generator = rng(2)
    n = np.full(24, 32)
    covered = []
    for _ in range(150):
        easy = generator.random(24) < 0.5
        reference, candidate = (
            generator.binomial(32, 0.15, 24),
            generator.binomial(32, np.where(easy, 0.6, 0.0)),
        )
        got = crossing_k(reference, n, candidate, n, generator)
        covered.append((got.ci_low or 0) <= exact <= (np.inf if got.ci_high is None else got.ci_high))
    assert np.mean(covered) >= 0.93


def test_one_prompt_and_none() -> None:
    one = crossing_k(np.array([4]), np.array([16]), np.array([3]), np.array([16]), rng())
    assert (one.value, one.status) == (1.0, "censored" if one.ci_high is None else "unreliable")
    none = np.array([], dtype=int)
    assert crossing_k(none, none, none, none, rng()).status == "undefined"
    zero = np.array([0])
    assert crossing_k(zero, zero, zero, zero, rng()).reason == "a prompt without samples"
    with pytest.raises(ValueError, match="same prompts"):
        crossing_k(zero, zero, none, none, rng())
    with pytest.raises(ValueError, match="c <= n"):
        crossing_k(np.array([9]), np.array([8]), np.array([1]), np.array([8]), rng())


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 9999), st.integers(2, 12))
def test_bounds_and_monotonicity(seed: int, prompts: int) -> None:
    generator = rng(seed)
    n = np.full(prompts, 8)
    reference, candidate = generator.integers(0, 9, prompts), generator.integers(0, 9, prompts)
    got = crossing_k(reference, n, candidate, n, rng(1))
    value = np.inf if got.value is None else got.value
    assert 1 <= (got.ci_low or 1) <= value <= (np.inf if got.ci_high is None else got.ci_high)
    better = crossing_k(np.minimum(reference + 1, 8), n, candidate, n, rng(1))
    assert (np.inf if better.value is None else better.value) <= value
    back = crossing_k(reference[::-1], n, candidate[::-1], n, rng(1))
    assert back.value == got.value


def test_families_are_resampled_whole() -> None:
    # Two kinds of prompts, whose crossings differ: eight families of six vary as eight prompts do.
    n, reference, candidate = np.full(8, 32), np.repeat([3, 3], 4), np.repeat([12, 2], 4)
    alone = crossing_k(reference, n, candidate, n, rng(4))
    many = [np.repeat(part, 6) for part in (reference, n, candidate, n)]
    clustered = crossing_k(*many, rng(4), families=np.repeat(list("abcdefgh"), 6))
    ends = (alone.value, alone.ci_low, alone.ci_high)
    assert (clustered.value, clustered.ci_low, clustered.ci_high) == ends
    independent = crossing_k(*many, rng(4))
    assert (alone.ci_low or 0) < (independent.ci_low or 0)
    assert (independent.ci_high or 0) < (alone.ci_high or 0)
    # One family shows no spread between families: its samples are drawn again instead.
    one_family = crossing_k(*many, rng(4), families=["f"] * 48)
    assert one_family.value == alone.value
    assert one_family.status != "ok"
    assert (one_family.ci_low or 0) < alone.value


def test_kinds_of_prompt_that_are_absent_stretch_the_interval() -> None:
    # Ten prompts that only the candidate solves: no resample crosses, but 26 % of others may be unseen.
    c, d, n = np.zeros(10, np.int64), np.full(10, 8), np.full(10, 64)
    made = crossing_k(c, n, d, n, np.random.default_rng(1))
    assert (made.value, made.ci_high, made.status) == (None, None, "censored")
    missed = 1 - 0.05 ** (1 / 10)
    lead = pass_at_k_curves(c, n, 64)[0] - pass_at_k_curves(d, n, 64)[0]
    assert made.ci_low == 1 + int(np.argmax((1 - missed) * lead + missed >= 0)) == 1
