import numpy as np
import pytest

from workers.estimators.bootstrap_weights import HELD_CELLS, RESAMPLES, BootstrapWeights
from workers.estimators.sample_mean import mean_interval


def weights(seed: int = 0) -> BootstrapWeights:
    return BootstrapWeights(np.random.default_rng(seed))


def rows(source: BootstrapWeights, n: int) -> np.ndarray:
    """The weights themselves, that of the point beyond the values last."""
    sums = np.concatenate(list(source.sums(n)), axis=1)
    return np.diff(sums, axis=0, prepend=0.0, append=1.0).T


def test_rows_are_uniform_on_the_simplex() -> None:
    found = rows(weights(), 9)
    assert found.shape == (RESAMPLES, 10)
    assert (found > 0).all()
    assert found.sum(axis=1) == pytest.approx(1.0)
    # Each weight is Beta(1, 9): mean 1/10, variance 9/1100. 4 standard errors.
    assert found.mean(axis=0) == pytest.approx(0.1, abs=4 * np.sqrt(9 / 1100 / RESAMPLES))
    assert found.var(axis=0) == pytest.approx(9 / 1100, rel=0.25)


@pytest.mark.parametrize("distinct", [1, 3, 40])
def test_weighted_means_are_those_of_the_rows_whatever_comes_again(distinct: int) -> None:
    x = np.sort(np.random.default_rng(2).integers(distinct, size=40) * 0.37 - 5)
    means, beyond = weights(1).means(x)
    found = rows(weights(1), 40)
    assert means == pytest.approx(found[:, :-1] @ x, rel=1e-12)
    assert beyond == pytest.approx(found[:, -1], rel=1e-9)


def test_weights_of_a_size_depend_on_no_other_size() -> None:
    first, second = weights(3), weights(3)
    alone = rows(first, 5)
    for other in (40, 4, 700):
        rows(second, other)
    assert np.array_equal(rows(second, 5), alone)
    assert np.array_equal(rows(second, 5), alone)
    assert not np.array_equal(rows(weights(4), 5), alone)


@pytest.mark.parametrize("n", [1, 5000])
def test_weights_that_are_not_held_are_drawn_again_as_the_same(n: int) -> None:
    large = HELD_CELLS // RESAMPLES + 1
    source = weights()
    once = rows(source, n)
    rows(source, large)
    for other in range(200, 1000, 100):  # more than is held
        rows(source, other)
    assert np.array_equal(rows(source, n), once)
    assert sum(RESAMPLES * (size + 1) for size in source._held) <= HELD_CELLS


def test_sharing_weights_leaves_the_law_of_each_interval_as_it_is() -> None:
    # Values that are equal in law and independent: over many sources the ends of the second, which shares its
    # weights with the first, are those of a source of its own.
    x = np.sort(np.random.default_rng(1).exponential(1.0, 40))
    shared, own = [], []
    for seed in range(60):
        source = weights(seed)
        mean_interval(x[::-1] ** 2, source, 0.95)
        shared.append(mean_interval(x, source, 0.95))
        own.append(mean_interval(x, weights(1000 + seed), 0.95))
    apart = np.mean(shared, axis=0) - np.mean(own, axis=0)
    error = np.sqrt((np.var(shared, axis=0) + np.var(own, axis=0)) / 60)
    assert (np.abs(apart) <= 4 * error + 1e-12).all()
