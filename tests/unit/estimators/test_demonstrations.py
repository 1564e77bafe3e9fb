"""Demonstrations by hand, against enumerated laws, and typicality against its promise."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from workers.estimators.demonstrations import (
    LEAST_MATCHED,
    ScoredDemonstrations,
    coverage,
    cross_entropy,
    cross_entropy_change,
    cross_entropy_per_token,
    kl_from_teacher,
    typicality,
)


def scored(probabilities, tokens=None, teacher=None):
    log_prob = np.log(np.asarray(probabilities, dtype=np.float64))
    lengths = np.full(log_prob.size, 2) if tokens is None else np.asarray(tokens)
    return ScoredDemonstrations(log_prob, lengths, None if teacher is None else np.log(np.asarray(teacher)))


def test_cross_entropies_by_hand():
    """p = 1/2, 1/8 on texts of 1 and 3 tokens: (1 + 3)/2 bits a sequence, 4 bits on 4 tokens."""
    p, q = scored([0.5, 0.125], [1, 3]), scored([0.5, 0.5], [1, 3])
    assert cross_entropy(p).value == pytest.approx(2 * math.log(2))
    assert cross_entropy(p).std_error == pytest.approx(math.sqrt(2) * math.log(2) / math.sqrt(2))
    assert cross_entropy_per_token(p).value == pytest.approx(math.log(2))
    assert cross_entropy_change(p, q).value == pytest.approx(-math.log(2))
    assert cross_entropy(scored([0.25])).std_error is None


def test_kl_and_coverage_by_hand():
    """pi_D = 1/2 each, p = 1/4 and 1/16: KL is (1 + 3)/2 bits; half of the mass has a ratio of 8."""
    found = scored([0.25, 0.0625], teacher=[0.5, 0.5])
    assert kl_from_teacher(found).value == pytest.approx(2 * math.log(2))
    assert [coverage(found, n).value for n in (1, 2, 8, 9)] == [1.0, 1.0, 0.5, 0.0]
    for undefined in (kl_from_teacher(scored([0.25])), coverage(scored([0.25]), 2)):
        assert (undefined.status, undefined.value) == ("undefined", None)
        assert "no log-probability of the demonstrations" in undefined.reason


def test_zero_probability_is_undefined_and_no_infinity():
    found = ScoredDemonstrations(np.array([-1.0, -np.inf]), np.array([2, 2]), np.array([-1.0, -1.0]))
    for one in (cross_entropy(found), cross_entropy_per_token(found), kl_from_teacher(found)):
        assert (one.status, one.value) == ("undefined", None)


def test_none_is_undefined():
    nothing = ScoredDemonstrations(np.zeros(0), np.zeros(0, np.int64))
    for figure in (cross_entropy, cross_entropy_per_token, lambda one: cross_entropy_change(one, one)):
        assert (figure(nothing).status, figure(nothing).reason) == ("undefined", "no demonstrations")


def test_expectations_under_an_enumerated_teacher():
    """Over all demonstrations by their chance: cross-entropy, KL(pi_D||p) and Cov_N exactly."""
    pi, p = np.array([0.5, 0.3, 0.15, 0.05]), np.array([0.1, 0.2, 0.3, 0.4])
    pairs = list(itertools.product(range(4), repeat=2))
    chance = np.array([pi[i] * pi[j] for i, j in pairs])
    samples = [scored(p[list(pair)], teacher=pi[list(pair)]) for pair in pairs]

    def expected(figure):
        return float(chance @ np.array([figure(one).value for one in samples]))

    assert expected(cross_entropy) == pytest.approx(-float(pi @ np.log(p)))
    assert expected(kl_from_teacher) == pytest.approx(float(pi @ np.log(pi / p)))
    assert expected(lambda one: coverage(one, 2)) == pytest.approx(0.5)  # only 0.5/0.1 is 2 or more


def test_typicality_by_hand():
    prices, tokens = np.arange(1.0, 21.0), np.full(20, 5)
    assert typicality(18.5, 5, prices, tokens).value == pytest.approx(3 / 21)
    assert typicality(99.0, 5, prices, tokens).value == pytest.approx(1 / 21)
    assert typicality(0.0, 5, prices, tokens).value == 1.0
    assert typicality(20.0, 5, prices, tokens).value == pytest.approx(2 / 21)  # a tie is no rarer
    assert typicality(18.5, 5, prices, tokens).n == 20


def test_lengths_must_match():
    prices, tokens = np.arange(1.0, 41.0), np.array([20, 22, 25, 18] * 10)
    found = typicality(10.0, 20, prices, tokens)
    assert found.n == 30  # 18 to 22 tokens
    few = typicality(10.0, 9, prices, np.array([9] * 18 + [10] * 22))
    assert (few.status, few.n) == ("undefined", LEAST_MATCHED - 1)
    assert "9 tokens" in few.reason
    assert "19 are needed" in few.reason


@pytest.mark.parametrize("law", [[0.25] * 4, [0.7, 0.2, 0.07, 0.03], [0.96, 0.04]])
@pytest.mark.parametrize("n", [19, 60])
def test_a_demonstration_of_the_models_own_is_seldom_atypical(law, n):
    """By enumeration over a discrete law: P[p-value <= u] <= u for every u it can take."""
    law = np.array(law)
    prices = -np.log(law)
    levels = {}
    for chance, price in zip(law, prices, strict=True):
        at_least = law[prices >= price - 1e-12].sum()
        for above, mass in enumerate(binom.pmf(np.arange(n + 1), n, at_least)):
            own = np.concatenate([np.full(above, prices.max()), np.full(n - above, -1.0)])
            own[:above] = price
            value = typicality(price, 3, own, np.full(n, 3)).value
            levels[value] = levels.get(value, 0.0) + chance * mass
    for level in levels:
        assert sum(mass for value, mass in levels.items() if value <= level) <= level + 1e-12


@given(st.lists(st.floats(0.001, 50.0), min_size=19, max_size=60), st.floats(0.0, 60.0), st.floats(0.0, 5.0))
def test_a_dearer_text_is_no_more_typical(own, price, more):
    prices, tokens = np.array(own), np.full(len(own), 4)
    cheap, dear = (typicality(one, 4, prices, tokens).value for one in (price, price + more))
    assert 0 < dear <= cheap <= 1
