import math

import numpy as np
import pytest

from workers.estimators.bootstrap_weights import BootstrapWeights
from workers.estimators.ordered import Ordered
from workers.estimators.sample_mean import mean_interval


@pytest.mark.parametrize("n", [2, 3, 64, 385])
def test_moments_are_those_of_numpy_to_the_last_bit(n):
    values = np.round(np.random.default_rng(n).gamma(0.4, size=n), 2) + 7.0
    x, got = np.sort(values), Ordered(values)
    assert got.standard_error == float(np.std(x - x[0], ddof=1) / math.sqrt(n))
    assert got.median == float(np.median(values))
    assert got.mean == x[0] + math.fsum(x - x[0]) / n


def test_intervals_at_two_levels_take_one_pass_over_the_weights_and_are_those_of_the_values():
    values = np.random.default_rng(1).normal(size=40)
    weights, others = (BootstrapWeights(np.random.default_rng(seed)) for seed in (2, 3))
    ordered = Ordered(values)
    for source in (weights, weights, others):
        for level in (0.9, 0.95):
            assert mean_interval(ordered, source, level) == mean_interval(values, source, level)
    assert ordered.weighted_means(weights) is ordered.weighted_means(weights)
