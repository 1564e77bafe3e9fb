import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import rel_entr

from workers.estimators.estimate import Estimate
from workers.estimators.tilt import (
    bernoulli_kl,
    bernoulli_range,
    binary_entropy,
    logit,
    matched_estimate,
    matched_inverse_temperature,
    matched_tilt,
)

probability = st.floats(0.0, 1.0)
interior = st.floats(1e-6, 1 - 1e-6)


def test_by_hand() -> None:
    # d(1/2‖1/4) = 1/2 log 2 + 1/2 log(2/3) = 1/2 log(4/3)
    assert bernoulli_kl(0.5, 0.25) == pytest.approx(0.5 * math.log(4 / 3), abs=1e-15)
    # odds 9 against odds 1/9: log 81
    assert matched_inverse_temperature(0.1, 0.9) == pytest.approx(math.log(81), abs=1e-14)
    assert binary_entropy(0.5) == pytest.approx(math.log(2))
    assert (binary_entropy(0.0), binary_entropy(1.0)) == (0.0, 0.0)
    assert (logit(0.0), logit(1.0)) == (-math.inf, math.inf)


def test_edges() -> None:
    assert bernoulli_kl(0.0, 0.0) == bernoulli_kl(1.0, 1.0) == 0.0
    assert bernoulli_kl(0.3, 0.0) == bernoulli_kl(0.3, 1.0) == math.inf
    assert bernoulli_kl(1.0, 0.25) == pytest.approx(math.log(4))
    assert bernoulli_kl(0.0, 0.25) == pytest.approx(-math.log(0.75))
    assert matched_inverse_temperature(0.2, 1.0) == math.inf
    assert matched_inverse_temperature(0.2, 0.0) == -math.inf
    assert matched_inverse_temperature(0.0, 0.0) == matched_inverse_temperature(1.0, 1.0) == 0.0
    with pytest.raises(ValueError, match="probabilities"):
        bernoulli_kl(1.1, 0.5)


@given(interior, interior)
def test_divergence_is_zero_only_at_equality(b: float, a: float) -> None:
    assert bernoulli_kl(b, a) >= 0
    assert bernoulli_kl(a, a) == 0
    assert bernoulli_kl(b, a) == pytest.approx(bernoulli_kl(1 - b, 1 - a), rel=1e-6, abs=1e-9)


@given(interior, interior)
def test_matched_tilt_agrees_with_the_binary_closed_form(a: float, b: float) -> None:
    beta, nats = matched_tilt(np.array([0.0, 1.0]), b, np.log([1 - a, a]))
    assert beta == pytest.approx(matched_inverse_temperature(a, b), abs=1e-7)
    assert nats == pytest.approx(bernoulli_kl(b, a), abs=1e-9)


@settings(deadline=None)
@given(st.integers(0, 5000), st.floats(-4, 4), st.floats(-3, 3), st.floats(0.1, 10))
def test_dense_tilt_recovers_its_beta(seed: int, beta: float, shift: float, scale: float) -> None:
    rng = np.random.default_rng(seed)
    p, r = rng.dirichlet(np.ones(7)), rng.normal(size=7)
    tilted = p * np.exp(beta * r)
    tilted /= tilted.sum()
    found, nats = matched_tilt(r, float(tilted @ r), np.log(p))
    assert found == pytest.approx(beta, abs=1e-6)
    assert nats == pytest.approx(float(rel_entr(tilted, p).sum()), abs=1e-9)
    moved = shift + scale * r
    again, same = matched_tilt(moved, float(tilted @ moved), np.log(p) + 3.0)
    assert again == pytest.approx(beta / scale, rel=1e-5, abs=1e-6)
    assert same == pytest.approx(nats, abs=1e-8)


@pytest.mark.parametrize("seed", range(10))
def test_pythagoras_for_dense_rewards(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p, q, r = rng.dirichlet(np.full(12, 0.6)), rng.dirichlet(np.full(12, 0.6)), rng.normal(size=12)
    beta, nats = matched_tilt(r, float(q @ r), np.log(p))
    tilted = p * np.exp(beta * r)
    tilted /= tilted.sum()
    whole = float(rel_entr(q, p).sum())
    assert nats + float(rel_entr(q, tilted).sum()) == pytest.approx(
        whole, abs=1e-12 * max(1, abs(whole)) + 1e-12
    )


def test_dense_limits() -> None:
    r = np.array([0.0, 1.0, 1.0, 2.0])
    assert matched_tilt(r, 2.0) == (math.inf, pytest.approx(math.log(4)))
    assert matched_tilt(r, 0.0) == (-math.inf, pytest.approx(math.log(4)))
    assert matched_tilt(r, 2.5) == (math.inf, math.inf)
    assert matched_tilt(r, -1.0) == (-math.inf, math.inf)
    assert matched_tilt(np.ones(3), 1.0) == (0.0, 0.0)
    assert matched_tilt(r, 2.0, np.array([0.0, 0.0, 0.0, -np.inf]))[1] == math.inf
    with pytest.raises(ValueError, match="atom"):
        matched_tilt(np.array([]), 0.0)
    with pytest.raises(ValueError, match="finite"):
        matched_tilt(r, math.nan)


@given(interior, interior, interior, interior, probability, probability)
def test_the_box_bounds_every_point(a: float, c: float, b: float, d: float, u: float, v: float) -> None:
    a_low, a_high, b_low, b_high = min(a, c), max(a, c), min(b, d), max(b, d)
    low, high = bernoulli_range(a_low, a_high, b_low, b_high)
    inside = bernoulli_kl(
        min(b_low + v * (b_high - b_low), b_high), min(a_low + u * (a_high - a_low), a_high)
    )
    assert low - 1e-12 <= inside <= high + 1e-12


def test_matched_estimate_is_the_image_of_the_box() -> None:
    reference = Estimate(value=0.2, ci_low=0.1, ci_high=0.3, confidence=0.98, n=50, unit="probability")
    got = matched_estimate(reference, 0.6, (0.1, 0.3, 0.5, 0.7), 40, 0.02)
    assert got.value == pytest.approx(logit(0.6) - logit(0.2))
    assert (got.ci_low, got.ci_high) == pytest.approx((logit(0.5) - logit(0.3), logit(0.7) - logit(0.1)))
    assert got.confidence == pytest.approx(0.96)
    open_ended = matched_estimate(reference, 0.6, (0.0, 0.3, 0.0, 1.0), 40, 0.02)
    assert (open_ended.ci_low, open_ended.ci_high, open_ended.status) == (None, None, "censored")


def test_a_mean_a_rounding_beyond_the_extreme_is_the_extreme() -> None:
    rewards = np.array([0.1, 0.9, 0.9])
    mean = float(np.nextafter(0.9, 1.0))
    assert matched_tilt(rewards, mean) == (math.inf, pytest.approx(math.log(1.5)))
    assert matched_tilt(rewards, 0.9 + 1e-6)[1] == math.inf
