import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import rel_entr

from workers.estimators.bootstrap_weights import BootstrapWeights
from workers.estimators.counts import clopper_pearson
from workers.estimators.estimate import Estimate
from workers.estimators.partition import (
    binary_log_partition,
    dense_log_partition,
    equilibrium,
    free_energy,
    gap,
    log_partition,
    thermodynamic_integration,
)

probability = st.floats(0.0, 1.0)
beta = st.floats(-40, 40)


def test_by_hand_and_in_the_limits() -> None:
    # a = 1/4, e^β = 3: Z = 3/4 + 3/4
    assert log_partition(0.25, math.log(3)) == pytest.approx(math.log(1.5), abs=1e-15)
    assert log_partition(0.0, 5.0) == 0.0
    assert log_partition(1.0, 5.0) == pytest.approx(5.0)
    assert log_partition(1.0, -800.0) == -800.0
    assert log_partition(0.3, 0.0) == 0.0
    assert log_partition(0.3, 2000.0) == pytest.approx(2000 + math.log(0.3))
    assert log_partition(1e-300, 1000.0) == pytest.approx(1000 - 300 * math.log(10))
    assert log_partition(1.0, 2000.0) == 2000.0
    with pytest.raises(ValueError, match="finite"):
        log_partition(0.3, math.inf)
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        log_partition(-0.1, 1.0)


@given(probability, beta)
def test_bounds(a: float, b: float) -> None:
    value = log_partition(a, b)
    # E_p[r] β <= log Z (Jensen), and log Z lies between 0 and β.
    assert a * b - 1e-9 <= value
    assert min(0.0, b) - 1e-9 <= value <= max(0.0, b) + 1e-9


@given(probability, probability, st.floats(0.01, 40))
def test_monotone_in_a(a: float, c: float, b: float) -> None:
    assert log_partition(min(a, c), b) <= log_partition(max(a, c), b) + 1e-12
    assert log_partition(min(a, c), -b) >= log_partition(max(a, c), -b) - 1e-12


@given(st.integers(0, 5000), st.floats(0.05, 8))
def test_gap_is_the_divergence_from_the_tilt_for_dense_rewards(seed: int, b: float) -> None:
    rng = np.random.default_rng(seed)
    p, q, r = rng.dirichlet(np.full(9, 0.6)), rng.dirichlet(np.full(9, 0.6)), rng.normal(size=9)
    z = float(p @ np.exp(b * r))
    tilted = p * np.exp(b * r) / z
    whole = float(rel_entr(q, p).sum())
    got = gap(b, -float(q @ r), whole, math.log(z))
    assert got == pytest.approx(float(rel_entr(q, tilted).sum()) / b, abs=1e-12 * (1 + whole) / b + 1e-12)
    assert got >= -1e-12 * (1 + whole) / b
    # The tilt itself has no gap, and its free energy is the equilibrium.
    own = float(rel_entr(tilted, p).sum())
    assert free_energy(b, -float(tilted @ r), own) == pytest.approx(
        equilibrium(math.log(z), b), abs=1e-10 / b
    )


def test_free_energies_need_a_positive_temperature() -> None:
    for bad in (0.0, -1.0, math.inf):
        with pytest.raises(ValueError, match="positive"):
            free_energy(bad, 0.0, 1.0)
        with pytest.raises(ValueError, match="positive"):
            equilibrium(1.0, bad)


def success(c: int, n: int) -> Estimate:
    low, high = clopper_pearson(c, n, 0.975)
    error = math.sqrt(c / n * (1 - c / n) / n)
    return Estimate(value=c / n, std_error=error, ci_low=low, ci_high=high, confidence=0.975, n=n)


def test_binary_estimate_is_the_monotone_image() -> None:
    a = success(10, 100)
    assert a.ci_low is not None
    assert a.ci_high is not None
    got = binary_log_partition(a, 2.0)
    assert (got.ci_low, got.ci_high) == (log_partition(a.ci_low, 2.0), log_partition(a.ci_high, 2.0))
    # d log Z/da = (e^β - 1)/Z
    assert got.std_error == pytest.approx(0.03 * math.expm1(2.0) / math.exp(log_partition(0.1, 2.0)))
    negative = binary_log_partition(a, -2.0)
    assert (negative.ci_low, negative.ci_high) == (
        log_partition(a.ci_high, -2.0),
        log_partition(a.ci_low, -2.0),
    )
    assert binary_log_partition(Estimate.undefined("none"), 1.0).reason == "none"
    large = binary_log_partition(a, 5000.0)
    assert large.std_error == pytest.approx(0.3)


def test_dense_estimate_converges_and_covers() -> None:
    rng = np.random.default_rng(4)
    z, covered = [], []
    truth = math.log((math.exp(1.5) - 1) / 1.5)  # r uniform on [0, 1]
    for _ in range(300):
        got = dense_log_partition(rng.random(64), 1.5, BootstrapWeights(rng), reward_range=(0.0, 1.0))
        assert got.value is not None
        assert got.std_error is not None
        assert got.ci_low is not None
        assert got.ci_high is not None
        z.append((got.value - truth) / got.std_error)
        covered.append(got.ci_low <= truth <= got.ci_high)
    assert abs(np.mean(z)) < 0.2
    assert 0.85 <= np.std(z, ddof=1) <= 1.15
    assert np.mean(covered) >= 0.95


def test_dense_edges() -> None:
    rng = np.random.default_rng(0)
    assert dense_log_partition(np.array([]), 1.0, BootstrapWeights(rng)).status == "undefined"
    assert dense_log_partition(np.array([2.0]), 3.0, BootstrapWeights(rng)).value == pytest.approx(6.0)
    same = dense_log_partition(np.full(9, 0.5), 2.0, BootstrapWeights(rng))
    assert (same.value, same.std_error, same.ci_low, same.ci_high) == (1.0, 0.0, 1.0, 1.0)
    assert dense_log_partition(np.arange(9.0), 0.0, BootstrapWeights(rng)).value == 0.0
    heavy = dense_log_partition(
        np.r_[np.zeros(63), 1.0], 20.0, BootstrapWeights(rng), reward_range=(0.0, 1.0)
    )
    assert heavy.status == "unreliable"
    assert heavy.ci_high is not None
    assert heavy.ci_high <= 20.0
    with pytest.raises(ValueError, match="in range"):
        dense_log_partition(np.array([2.0]), 1.0, BootstrapWeights(rng), reward_range=(0.0, 1.0))


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=30), st.floats(-3, 3), st.floats(-2, 2))
def test_dense_shift(rewards: list[float], b: float, shift: float) -> None:
    r = np.array(rewards)
    plain, moved = (
        dense_log_partition(x, b, BootstrapWeights(np.random.default_rng(1))) for x in (r, r + shift)
    )
    assert moved.value == pytest.approx((plain.value or 0.0) + b * shift, abs=1e-9)


def test_thermodynamic_integration_brackets_the_truth() -> None:
    a, grid = 0.05, np.linspace(0, 6, 13)
    means = a * np.exp(grid) / (1 - a + a * np.exp(grid))
    exact = log_partition(a, 6.0)
    got = thermodynamic_integration(grid, means, np.zeros(13))
    assert got.value == pytest.approx(exact, abs=0.02)
    assert got.ci_low is not None
    assert got.ci_high is not None
    assert got.ci_low < exact < got.ci_high
    # left sum: h Σ means[:-1]
    assert got.ci_low == pytest.approx(0.5 * means[:-1].sum())
    fine = np.linspace(0, 6, 2001)
    dense = thermodynamic_integration(fine, a * np.exp(fine) / (1 - a + a * np.exp(fine)), np.zeros(2001))
    assert dense.value == pytest.approx(exact, abs=1e-6)
    with pytest.raises(ValueError, match="grid"):
        thermodynamic_integration(np.array([0.5, 1.0]), np.zeros(2), np.zeros(2))


def test_thermodynamic_integration_error_is_calibrated() -> None:
    rng = np.random.default_rng(1)
    grid = np.linspace(0, 3, 7)
    means = 1 / (1 + np.exp(-grid))
    exact = thermodynamic_integration(grid, means, np.zeros(7)).value
    z = []
    for _ in range(500):
        got = thermodynamic_integration(grid, means + rng.normal(0, 0.02, 7), np.full(7, 0.02))
        z.append((got.value - exact) / got.std_error)  # type: ignore[operator]
    assert 0.85 <= np.std(z, ddof=1) <= 1.15
