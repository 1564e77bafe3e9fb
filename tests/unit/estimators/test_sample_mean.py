import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.estimators.bootstrap_weights import BootstrapWeights
from workers.estimators.sample_mean import (
    hall_interval,
    mean_estimate,
    mean_interval,
    standard_error,
    weakness,
)

values = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30).map(np.array)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def mixture(generator: np.random.Generator, n: int, share: float) -> np.ndarray:
    rare = generator.random(n) < share
    return np.where(rare, 10 * generator.gamma(4, 0.25, n), 0.1 * generator.gamma(2, 0.5, n))


SKEWED = {
    "normal": (lambda g, n: g.normal(5, 1, n), 5.0),
    "exponential": (lambda g, n: g.exponential(1, n), 1.0),
    "gamma 0.15": (lambda g, n: g.gamma(0.15, 1, n), 0.15),
    "log-normal 1": (lambda g, n: g.lognormal(0, 1, n), math.exp(0.5)),
    "log-normal 2": (lambda g, n: g.lognormal(0, 2, n), math.exp(2.0)),
    "minus log-normal": (lambda g, n: -g.lognormal(0, 1, n), -math.exp(0.5)),
    "mixture 0.08": (lambda g, n: mixture(g, n, 0.08), 0.8 + 0.092),
    "mixture 0.3": (lambda g, n: mixture(g, n, 0.3), 3.0 + 0.07),
}


@pytest.mark.parametrize("case", SKEWED)
def test_coverage_is_nominal_on_skewed_values(case: str) -> None:
    draw, truth = SKEWED[case]
    generator = rng(7)
    replicates = 400
    covered = 0
    for _ in range(replicates):
        low, high = mean_interval(draw(generator, 64), BootstrapWeights(generator), 0.95)
        covered += low <= truth <= high
    # 400 replicates: one standard error of the estimated coverage is 0.011.
    assert covered / replicates >= 0.95 - 0.011


def test_hall_leans_towards_the_tail() -> None:
    x = np.sort(rng(0).exponential(1, 64))
    low, high = hall_interval(x, 0.95)
    assert high - x.mean() > 1.2 * (x.mean() - low)
    # It moves and widens, but stays near Student's t for symmetric values.
    y = np.linspace(-1, 1, 64)
    assert hall_interval(y, 0.95) == pytest.approx(
        (-1.998 * standard_error(y), 1.998 * standard_error(y)), abs=1e-3
    )


def test_student_t_alone_fails_where_this_interval_holds() -> None:
    generator = rng(3)
    hits = {"t": 0, "ours": 0}
    for _ in range(300):
        x = generator.lognormal(0, 2, 64)
        half = 1.998 * standard_error(x)
        hits["t"] += abs(x.mean() - math.exp(2)) <= half
        low, high = mean_interval(x, BootstrapWeights(generator), 0.95)
        hits["ours"] += low <= math.exp(2) <= high
    assert hits["t"] / 300 < 0.8 < 0.92 < hits["ours"] / 300


@given(values, st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_order_does_not_matter_and_scale_and_shift_do_exactly_what_they_should(
    x: np.ndarray, seed: int
) -> None:
    low, high = mean_interval(x, BootstrapWeights(rng(seed)), 0.9)
    assert mean_interval(rng(1).permutation(x), BootstrapWeights(rng(seed)), 0.9) == (low, high)
    size = 1 + np.abs(x).max()
    doubled = mean_interval(2 * x, BootstrapWeights(rng(seed)), 0.9)
    assert doubled == pytest.approx((2 * low, 2 * high), abs=1e-9 * size)
    flipped = mean_interval(-x, BootstrapWeights(rng(seed)), 0.9)
    # The bootstrap weights are not mirrored: equality holds up to resampling noise.
    assert flipped == pytest.approx((-high, -low), abs=0.35 * max(high - low, 1e-6) + 1e-9)
    assert low <= x.mean() + 1e-9 * size
    assert high >= x.mean() - 1e-9 * size


@given(values, st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_more_confidence_is_wider(x: np.ndarray, seed: int) -> None:
    narrow, wide = (mean_interval(x, BootstrapWeights(rng(seed)), level) for level in (0.8, 0.99))
    assert wide[0] <= narrow[0] + 1e-9
    assert wide[1] >= narrow[1] - 1e-9


def test_equal_values_have_no_error() -> None:
    got = mean_estimate(np.full(20, 0.1), BootstrapWeights(rng()), unit="nats")
    assert (got.value, got.std_error, got.ci_low, got.ci_high) == (0.1, 0.0, 0.1, 0.1)


def test_standard_error_by_hand() -> None:
    # values 1, 2, 3: variance 1, n = 3
    assert standard_error(np.array([1.0, 2.0, 3.0])) == pytest.approx(1 / math.sqrt(3))


def test_z_scores_have_unit_spread() -> None:
    generator = rng(2)
    z = []
    for _ in range(400):
        got = mean_estimate(generator.normal(3, 2, 50), BootstrapWeights(generator), unit="nats")
        z.append((got.value - 3) / got.std_error)  # type: ignore[operator]
    assert abs(np.mean(z)) < 0.15
    assert 0.85 <= np.std(z, ddof=1) <= 1.15


def test_small_and_broken_samples() -> None:
    assert mean_estimate(np.array([]), BootstrapWeights(rng()), unit="nats").status == "undefined"
    one = mean_estimate(np.array([2.0]), BootstrapWeights(rng()), unit="nats")
    assert (one.value, one.std_error, one.ci_low, one.status) == (2.0, None, None, "unreliable")
    assert mean_estimate(np.arange(4.0), BootstrapWeights(rng()), unit="nats").reason == "only 4 samples"
    with pytest.raises(ValueError, match="finite"):
        mean_estimate(np.array([1.0, np.inf]), BootstrapWeights(rng()), unit="nats")
    with pytest.raises(ValueError, match="two finite"):
        mean_interval(np.array([1.0]), BootstrapWeights(rng()), 0.95)


def test_the_floor_bounds_value_and_ends() -> None:
    got = mean_estimate(np.array([0.0] * 9 + [1.0]), BootstrapWeights(rng()), unit="nats", floor=0.0)
    assert got.ci_low == 0.0
    assert weakness(np.array([0.0] * 39 + [1.0])) == "one sample carries most of the deviation"
    assert weakness(np.arange(40.0)) == ""
    assert weakness(np.arange(31.0)) == "only 31 samples"
    # Means of prompts are averages already.
    assert mean_estimate(np.arange(8.0), None, unit="nats").status == "ok"
