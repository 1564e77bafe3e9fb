import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.estimators.bootstrap_weights import BootstrapWeights
from workers.estimators.counts import clopper_pearson
from workers.estimators.estimate import Estimate
from workers.estimators.kl import TRUNCATED_SUPPORT
from workers.estimators.partition import binary_log_partition, gap, log_partition
from workers.estimators.sample_mean import mean_estimate
from workers.estimators.tilt_rows import TiltRow, mean_tilt_rows, tilt_rows

BETAS = [0.5, 2.0]


def reference(c: int, n: int) -> Estimate:
    low, high = clopper_pearson(c, n, 0.975)
    error = math.sqrt(c / n * (1 - c / n) / n)
    return Estimate(value=c / n, std_error=error, ci_low=low, ci_high=high, confidence=0.975, n=n)


def rows_of(a: Estimate, rewards: np.ndarray, kl_rb: np.ndarray, seed: int = 0) -> list[TiltRow]:
    rng = np.random.default_rng(seed)
    kl = mean_estimate(kl_rb, BootstrapWeights(rng), unit="nats", floor=0.0)
    return tilt_rows(
        BETAS, [binary_log_partition(a, beta) for beta in BETAS], rewards, kl_rb, kl, BootstrapWeights(rng)
    )


def test_values_follow_the_definitions() -> None:
    rewards, kl_rb = np.array([1.0, 1.0, 0.0, 1.0] * 4), np.array([2.0, 3.0, 1.0, 4.0] * 4)
    rows = rows_of(reference(10, 100), rewards, kl_rb)
    for row, beta in zip(rows, BETAS, strict=True):
        assert row.free_energy.value == pytest.approx(-0.75 + 2.5 / beta)
        assert row.equilibrium.value == pytest.approx(-log_partition(0.1, beta) / beta)
        assert row.gap.value == pytest.approx(gap(beta, -0.75, 2.5, log_partition(0.1, beta)))
        assert (row.equilibrium.ci_low or 0) <= (row.equilibrium.value or 0) <= (row.equilibrium.ci_high or 0)
        assert row.equilibrium.ci_low == pytest.approx(-(row.log_partition.ci_high or 0) / beta)


def test_gap_covers_and_its_error_is_calibrated() -> None:
    rng = np.random.default_rng(3)
    a, b, beta = 0.2, 0.7, 2.0
    # kl given success 2 + Gamma(2), given failure 1: mean KL = 0.7·4 + 0.3·1
    exact = gap(beta, -b, 0.7 * 4 + 0.3, log_partition(a, beta))
    z, covered = [], []
    for seed in range(200):
        rewards = (rng.random(64) < b).astype(float)
        kl_rb = np.where(rewards == 1, 2 + rng.gamma(2, 1, 64), 1.0)
        row = rows_of(reference(int(rng.binomial(128, a)), 128), rewards, kl_rb, seed)[1]
        z.append((row.gap.value - exact) / row.gap.std_error)  # type: ignore[operator]
        covered.append((row.gap.ci_low or 0) <= exact <= (row.gap.ci_high or 0))
    assert abs(np.mean(z)) < 0.3
    assert 0.85 <= np.std(z, ddof=1) <= 1.15
    assert np.mean(covered) >= 0.95


def test_truncated_support_keeps_log_z() -> None:
    rng = np.random.default_rng(0)
    a = reference(10, 100)
    kl = Estimate.undefined(TRUNCATED_SUPPORT, "nats", 4)
    (row,) = tilt_rows(
        [1.0], [binary_log_partition(a, 1.0)], np.ones(4), np.full(4, math.inf), kl, BootstrapWeights(rng)
    )
    assert row.log_partition.status == row.equilibrium.status == "ok"
    assert row.free_energy.reason == row.gap.reason == TRUNCATED_SUPPORT


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 5000), st.integers(2, 40), st.integers(0, 50))
def test_gap_is_never_negative_and_holds_its_value(seed: int, n: int, c: int) -> None:
    rng = np.random.default_rng(seed)
    for row in rows_of(reference(c, 50), (rng.random(n) < 0.5).astype(float), rng.gamma(0.1, 1, n)):
        assert row.gap.value is not None
        assert row.gap.value >= 0
        assert (row.gap.ci_low or 0.0) <= row.gap.value <= (row.gap.ci_high or math.inf)


def test_means_over_prompts() -> None:
    prompts = [rows_of(reference(c, 50), np.ones(20), np.full(20, float(c))) for c in (5, 10, 20)]
    means = mean_tilt_rows(prompts)
    assert [mean.inverse_temperature for mean in means] == BETAS
    values = [rows[1].gap.value or 0.0 for rows in prompts]
    assert means[1].gap.population.value == pytest.approx(sum(values) / 3)
    assert means[1].gap.sampling_std_error is not None
    with pytest.raises(ValueError, match="share their inverse"):
        mean_tilt_rows([prompts[0], prompts[1][::-1]])


def test_refusals() -> None:
    rng = np.random.default_rng(0)
    kl = mean_estimate(np.ones(3), BootstrapWeights(rng), unit="nats")
    loose = Estimate(value=0.1, ci_low=0.0, ci_high=0.2, confidence=0.95, n=9, unit="nats")
    with pytest.raises(ValueError, match="higher confidence"):
        tilt_rows([1.0], [loose], np.ones(3), np.ones(3), kl, BootstrapWeights(rng))
    with pytest.raises(ValueError, match="positive"):
        tilt_rows([0.0], [loose], np.ones(3), np.ones(3), kl, BootstrapWeights(rng))
