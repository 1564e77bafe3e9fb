import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from workers.estimators.families import family_means, linearised
from workers.estimators.resampling import (
    bootstrap_interval,
    bootstrap_means,
    expanded_tail,
    population_interval,
    resample_counts,
)
from workers.estimators.sample_mean import hall_interval


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


def test_population_interval_holds_both_of_its_parts_and_means_of_families() -> None:
    values = np.random.default_rng(1).beta(0.5, 2.0, 12)
    low, high = population_interval(values, np.random.default_rng(2), confidence=0.95)  # type: ignore[misc]
    hall = hall_interval(np.sort(values), 0.95)
    plain = bootstrap_interval(values, np.random.default_rng(2), confidence=0.95)
    assert plain is not None
    assert low <= min(hall[0], plain[0])
    assert high >= max(hall[1], plain[1])
    # Two families of equal sums are two equal units: no spread.
    rng = np.random.default_rng(2)
    assert population_interval([0.0, 1.0, 0.0, 1.0], rng, confidence=0.95, families=list("aabb")) is None
    assert linearised([1.0, 3.0, 5.0], ["a", "a", "b"]).mean() == pytest.approx(3.0)


@pytest.mark.slow
@pytest.mark.parametrize("prompts", [10, 20, 40])
def test_population_interval_covers_a_skewed_population(prompts: int) -> None:
    rng, held, reps = np.random.default_rng(prompts), 0, 1000
    for _ in range(reps):
        rates = rng.binomial(64, rng.beta(0.5, 2.0, prompts)) / 64
        ends = population_interval(rates, rng, confidence=0.95, resamples=800)
        held += ends is not None and ends[0] <= 0.2 <= ends[1]
    assert stats.binomtest(held, reps, 0.95, alternative="less").pvalue > 0.001
