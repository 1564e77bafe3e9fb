"""Oracle: closed forms of a verifier, an enumerated law, and finite differences of log Z."""

import math

import numpy as np
import pytest

from workers.estimators.bootstrap_weights import BootstrapWeights
from workers.estimators.estimate import Estimate
from workers.estimators.partition import dense_log_partition, log_partition
from workers.estimators.response import binary_response, dense_response, integrated_log_partition


def rate(a: float, low: float, high: float) -> Estimate:
    return Estimate(
        value=a, std_error=0.01, ci_low=low, ci_high=high, confidence=0.95, n=100, unit="probability"
    )


@pytest.mark.parametrize("beta", [0.0, 0.5, 3.0, 300.0])
def test_response_is_the_derivative_of_log_z(beta: float) -> None:
    a, step = 0.03, 1e-5
    (point,) = binary_response(rate(a, 0.01, 0.06), [beta])
    slope = (log_partition(a, beta + step) - log_partition(a, beta - step)) / (2 * step)
    assert point.mean_reward.value == pytest.approx(slope, abs=1e-8)
    s = point.mean_reward.value or 0.0
    assert point.heat_capacity.value == pytest.approx(s * (1 - s), abs=1e-12)
    assert (point.mean_reward.ci_low or 0) <= s <= (point.mean_reward.ci_high or 1)


def test_the_heat_capacity_peaks_at_minus_logit_a() -> None:
    a = 0.01
    grid = list(np.linspace(0, 8, 161))
    points = binary_response(rate(a, 0.005, 0.02), grid)
    peak = max(points, key=lambda point: point.heat_capacity.value or 0.0)
    assert peak.inverse_temperature == pytest.approx(math.log(0.99 / 0.01), abs=0.05)
    assert peak.heat_capacity.value == pytest.approx(0.25, abs=1e-3)
    assert peak.heat_capacity.ci_high == 0.25


def test_certain_and_impossible_successes_do_not_respond() -> None:
    for a in (0.0, 1.0):
        (point,) = binary_response(rate(a, a, a), [2.0])
        assert (point.mean_reward.value, point.heat_capacity.value) == (a, 0.0)
    missing = binary_response(Estimate.undefined("no samples"), [1.0])[0]
    assert missing.mean_reward.reason == "no samples"


def test_dense_response_converges_with_honest_errors() -> None:
    rng = np.random.default_rng(0)
    levels, p = np.array([0.0, 0.3, 0.5, 1.0]), np.array([0.4, 0.3, 0.2, 0.1])
    beta = 1.5
    tilted = p * np.exp(beta * levels)
    tilted /= tilted.sum()
    mean = float(tilted @ levels)
    variance = float(tilted @ (levels - mean) ** 2)
    z = []
    for _ in range(400):
        rewards = levels[rng.choice(4, 300, p=p)]
        (point,) = dense_response(rewards, None, [beta])
        z.append(
            [
                ((e.value or 0.0) - truth) / (e.std_error or 1.0)
                for e, truth in ((point.mean_reward, mean), (point.heat_capacity, variance))
            ]
        )
    assert np.abs(np.mean(z, axis=0)).max() < 0.3
    assert np.std(z, axis=0) == pytest.approx([1.0, 1.0], abs=0.15)


def test_weights_are_those_of_the_reference() -> None:
    """Samples of another law, reweighted, are samples of p; shifting the weights changes nothing."""
    rng = np.random.default_rng(1)
    levels, p, q = np.array([0.0, 0.5, 1.0]), np.array([0.7, 0.2, 0.1]), np.array([0.2, 0.3, 0.5])
    atoms = rng.choice(3, 20_000, p=q)
    weights = np.log(p[atoms] / q[atoms])
    (point,) = dense_response(levels[atoms], weights, [1.0])
    tilted = p * np.exp(levels)
    assert point.mean_reward.value == pytest.approx(float(tilted @ levels / tilted.sum()), abs=0.01)
    (shifted,) = dense_response(levels[atoms], weights + 55.0, [1.0])
    assert shifted.mean_reward.value == pytest.approx(point.mean_reward.value)


def test_few_effective_samples_are_unreliable() -> None:
    rng = np.random.default_rng(2)
    first, last = dense_response(rng.random(100), None, [0.0, 500.0])
    assert (first.mean_reward.status, last.mean_reward.status) == ("ok", "unreliable")
    with pytest.raises(ValueError, match="one weight"):
        dense_response(np.ones(3), np.zeros(2), [1.0])
    assert dense_response(np.ones(2), np.full(2, -math.inf), [1.0])[0].mean_reward.status == "undefined"


def test_integration_meets_log_mean_exp_and_keeps_the_references_upper_end() -> None:
    rng = np.random.default_rng(3)
    rewards = rng.random(4000)
    beta = 2.0
    truth = math.log((math.exp(beta) - 1) / beta)
    points = dense_response(rewards, None, list(np.linspace(0, beta, 33)))
    upper = dense_log_partition(rewards, beta, BootstrapWeights(rng))
    found = integrated_log_partition(points, upper)
    assert found.value == pytest.approx(upper.value or 0.0, abs=1e-3)
    assert (found.ci_low or 0) <= truth <= (found.ci_high or 9)
    assert found.ci_high == max(upper.ci_high or 0.0, found.value or 0.0)
    # At β = 0 the tilt does nothing.
    assert dense_response(rewards, None, [0.0])[0].mean_reward.value == pytest.approx(rewards.mean())
