import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.estimators.sign_flip import sign_flip_test


def test_sign_flip_by_hand() -> None:
    rng = np.random.default_rng(0)
    # 1, 2, 3: of 8 patterns only +++ reaches 6; with 1, 2, -3 (sum 0): {0: +1+2-3, -1-2+3}, 2, 4, 6 -> 5
    assert sign_flip_test([1.0, 2.0, 3.0], rng) == 1 / 8
    assert sign_flip_test([1.0, 2.0, -3.0], rng) == 5 / 8
    assert sign_flip_test([0.1] * 10, rng) == 2**-10
    assert sign_flip_test([0.0, 0.0], rng) == 1.0
    assert sign_flip_test([], rng) == 1.0
    assert sign_flip_test([0.0, 0.3], rng) == 0.5


@given(st.lists(st.integers(-4, 6), min_size=1, max_size=9))
def test_sign_flip_enumerates(differences: list[int]) -> None:
    nonzero = [d for d in differences if d]
    sums = [
        sum(s * d for s, d in zip(signs, nonzero, strict=True))
        for signs in itertools.product((1, -1), repeat=len(nonzero))
    ]
    expected = np.mean([total >= sum(differences) for total in sums])
    scaled = [0.1 * d for d in differences]
    assert sign_flip_test(scaled, np.random.default_rng(0)) == pytest.approx(expected)


def test_random_flips_agree_with_enumeration() -> None:
    differences = np.random.default_rng(7).normal(0.3, 1.0, 16)
    exact = sign_flip_test(differences, np.random.default_rng(8))
    # Appending eight tiny differences forces the random branch and hardly moves p.
    random = sign_flip_test(np.concatenate([differences, np.full(8, 1e-9)]), np.random.default_rng(9), 40_000)
    assert random == pytest.approx(exact, abs=4 * (exact * (1 - exact) / 40_000) ** 0.5)
    assert sign_flip_test(np.ones(30), np.random.default_rng(1), 999) == pytest.approx(1 / 1000)
