import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from workers.estimators.families import family_means
from workers.estimators.resampling import (
    bootstrap_interval,
    bootstrap_means,
    bounded_interval,
    expanded_tail,
    resample_counts,
)


def test_resample_counts_has_the_binomial_moments() -> None:
    drawn = resample_counts([0, 3, 16, 0], [16, 16, 16, 0], np.random.default_rng(1), 20_000)
    assert drawn.shape == (20_000, 4)
    assert drawn[:, 0].max() == 0
    assert drawn[:, 2].min() == 16
    assert drawn[:, 3].max() == 0
    # 16 * 3/16 and 16 * 3/16 * 13/16
    assert drawn[:, 1].mean() == pytest.approx(3.0, abs=0.05)
    assert drawn[:, 1].var() == pytest.approx(2.4375, rel=0.05)


def test_family_sums() -> None:
    sums, sizes = family_means([1.0, 2.0, 4.0], ["b", "a", "b"])
    assert (sums.tolist(), sizes.tolist()) == ([2.0, 5.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="one family"):
        family_means([1.0, 2.0], ["a"])


def test_bootstrap_means_match_full_enumeration() -> None:
    # All 27 resamples of 3 prompts, exactly.
    values = np.array([0.0, 1.0, 5.0])
    exact = np.array([np.mean(pick) for pick in itertools.product(values, repeat=3)])
    means = bootstrap_means(values, np.random.default_rng(2), 60_000)
    assert means.mean() == pytest.approx(exact.mean(), abs=0.02)
    assert means.var() == pytest.approx(exact.var(), rel=0.03)


def test_families_are_resampled_whole() -> None:
    values, families = [1.0] * 5 + [0.0], ["a"] * 5 + ["b"]
    means = bootstrap_means(values, np.random.default_rng(3), 4000, families)
    # aa: 1, bb: 0, ab: 5/6
    assert set(np.round(means, 6)) == {0.0, 1.0, round(5 / 6, 6)}
    assert np.mean(means == 1.0) == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("families", [None, [0, 0, 1, 1], [0, 0, 0, 1]])
def test_bootstrap_means_are_ratios_of_sums(families: list[int] | None) -> None:
    values = np.array([0.1, 0.7, 0.4, 0.9])
    sums, sizes = family_means(values, families)
    picked = np.random.default_rng(5).integers(0, sums.size, size=(50, sums.size))
    expected = sums[picked].sum(axis=1) / sizes[picked].sum(axis=1)
    assert bootstrap_means(values, np.random.default_rng(5), 50, families).tolist() == expected.tolist()


def test_bca_matches_scipy() -> None:
    values = np.random.default_rng(4).exponential(size=40)
    rng = np.random.default_rng(5)
    mine = bootstrap_interval(values, rng, confidence=0.9, resamples=20_000)
    theirs = stats.bootstrap(
        (values,),
        np.mean,
        confidence_level=0.9,
        n_resamples=20_000,
        method="BCa",
        rng=np.random.default_rng(6),
    ).confidence_interval
    assert mine == pytest.approx((theirs.low, theirs.high), abs=0.01)
    plain = bootstrap_interval(values, rng, confidence=0.9, resamples=20_000, method="percentile")
    assert plain is not None
    assert mine is not None
    assert mine[1] > plain[1]


def test_no_spread_is_no_certainty() -> None:
    rng = np.random.default_rng(0)
    assert bootstrap_interval([0.0] * 20, rng, confidence=0.95) is None
    assert bootstrap_interval([1.0], rng, confidence=0.95) is None
    assert bootstrap_interval([0.1] * 20, rng, confidence=0.95) is None
    assert bootstrap_interval([1.0, 0.0], rng, confidence=0.95, families=["a", "a"]) is None
    with pytest.raises(ValueError, match="nothing"):
        bootstrap_means([], rng, 10)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=25), st.floats(0.5, 3.0), st.floats(-3, 3))
def test_interval_is_equivariant(values: list[float], scale: float, shift: float) -> None:
    array = np.round(np.array(values), 3)
    first = bootstrap_interval(array, np.random.default_rng(1), confidence=0.9, resamples=200)
    moved = bootstrap_interval(scale * array + shift, np.random.default_rng(1), confidence=0.9, resamples=200)
    if first is not None and np.ptp(array) > 0.01:
        assert moved == pytest.approx((scale * first[0] + shift, scale * first[1] + shift), abs=1e-6)


def test_expanded_tail_by_hand() -> None:
    # Ten units: sqrt(10/9) times Student's 2.262157 is 2.384535; the normal tail beyond that.
    assert expanded_tail(10, 0.95) == pytest.approx(0.0085505, abs=1e-6)
    # Many units: the plain tail.
    assert expanded_tail(10**7, 0.95) == pytest.approx(0.025, abs=1e-6)


def test_bounded_interval_of_equal_values_is_in_closed_form() -> None:
    rng = np.random.default_rng(2)
    # Clopper-Pearson: 0 of 20 and 20 of 20 at 95 %.
    assert bounded_interval([0.0] * 20, rng, confidence=0.95) == pytest.approx((0.0, 1 - 0.025**0.05))
    assert bounded_interval([1.0] * 20, rng, confidence=0.95) == pytest.approx((0.025**0.05, 1.0))
    # All 0.4: the further value is 0 or 1, and its weight is Beta(1, 20).
    low, high = bounded_interval([0.4] * 20, rng, confidence=0.95)
    assert (low, high) == pytest.approx((0.4 * 0.025**0.05, 1 - 0.6 * 0.025**0.05))
    # A family is one value, and two of equal means are two equal ones.
    ends = bounded_interval([0.0, 1.0, 0.0, 1.0], rng, confidence=0.95, families=list("aabb"))
    assert ends == pytest.approx((0.5 * 0.025**0.5, 1 - 0.5 * 0.025**0.5))
    with pytest.raises(ValueError, match="no value"):
        bounded_interval([], rng, confidence=0.95)


def test_bounded_interval_is_the_quantile_of_its_definition() -> None:
    # Two values 0 and 1: the lower end is a quantile of the second of three uniform weights, Beta(1, 2):
    # 1 - sqrt(1 - 0.025); the upper one of the sum of two of them, Beta(2, 1): sqrt(0.975).
    low, high = bounded_interval([0.0, 1.0], np.random.default_rng(3), confidence=0.95, resamples=400_000)
    assert (low, high) == pytest.approx((1 - math.sqrt(0.975), math.sqrt(0.975)), abs=2e-3)


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12), st.integers(0, 2**32 - 1))
def test_bounded_interval_holds_the_mean_and_mirrors(values: list[float], seed: int) -> None:
    low, high = bounded_interval(values, np.random.default_rng(seed), confidence=0.95, resamples=500)
    assert 0.0 <= low <= np.mean(values) + 1e-9
    assert np.mean(values) - 1e-9 <= high <= 1.0
    mirrored = bounded_interval(
        [1.0 - v for v in values], np.random.default_rng(seed), confidence=0.95, resamples=500
    )
    # The same weights in the opposite order: equal but for the draws.
    assert mirrored == pytest.approx((1.0 - high, 1.0 - low), abs=0.15)
