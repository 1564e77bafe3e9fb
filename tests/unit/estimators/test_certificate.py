import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import rel_entr

from workers.estimators.certificate import certify, price_bound, sharp_price_bound
from workers.estimators.estimate import Estimate
from workers.estimators.tilt import bernoulli_kl


def known(value: float, low: float, high: float, status: str = "ok") -> Estimate:
    return Estimate(
        value=value,
        ci_low=low,
        ci_high=high,
        confidence=0.975,
        n=64,
        unit="nats",
        status=status,  # type: ignore[arg-type]
        reason="" if status == "ok" else "heavy",
    )


def test_published_example() -> None:
    # theory-notes A5: 2 nats and b = 0.9 certify a >= 0.0755, exactly 0.0762; 10 nats only 1.0e-5.
    assert math.exp(-price_bound(2.0, 0.9)) == pytest.approx(0.0755, abs=5e-5)
    assert math.exp(-sharp_price_bound(2.0, 0.9)) == pytest.approx(0.0762, abs=5e-5)
    assert math.exp(-price_bound(10.0, 0.9)) == pytest.approx(1.0e-5, rel=0.05)


def test_edges() -> None:
    assert price_bound(1.5, 1.0) == sharp_price_bound(1.5, 1.0) == 1.5
    assert price_bound(1.5, 0.0) == sharp_price_bound(1.5, 0.0) == math.inf
    # No distance: a = b.
    assert sharp_price_bound(0.0, 0.25) == pytest.approx(math.log(4))
    with pytest.raises(ValueError, match="KL >= 0"):
        price_bound(-1.0, 0.5)


@given(st.floats(0, 60), st.floats(1e-6, 1.0))
def test_inversion_solves_its_equation_and_is_sharper(kl: float, b: float) -> None:
    sharp = sharp_price_bound(kl, b)
    assert sharp <= price_bound(kl, b) + 1e-9
    if kl > 1e-6 and b < 1 - 1e-6 and sharp < 600:
        assert bernoulli_kl(b, math.exp(-sharp)) == pytest.approx(kl, rel=1e-6, abs=1e-8)


@given(st.floats(0, 30), st.floats(0, 30), st.floats(1e-3, 1.0), st.floats(1e-3, 1.0))
def test_monotone(kl: float, other: float, b: float, c: float) -> None:
    for bound in (price_bound, sharp_price_bound):
        assert bound(min(kl, other), b) <= bound(max(kl, other), b) + 1e-9
        assert bound(kl, max(b, c)) <= bound(kl, min(b, c)) * (1 + 1e-9) + 1e-9


@given(st.integers(0, 20_000))
def test_valid_on_enumerated_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p, q = rng.dirichlet(np.full(8, 0.4)), rng.dirichlet(np.full(8, 0.4))
    success = np.arange(8) < rng.integers(1, 8)
    a, b, kl = p[success].sum(), min(q[success].sum(), 1.0), float(rel_entr(q, p).sum())
    if b > 0 and a > 0 and math.isfinite(kl):
        assert -math.log(a) <= sharp_price_bound(kl, b) + 1e-9
        assert -math.log(a) <= price_bound(kl, b) + 1e-9


def test_ends_come_from_opposite_corners() -> None:
    got = certify(known(2.0, 1.5, 3.0), known(0.9, 0.8, 0.95), log_budget=6.0)
    assert got.price_bound.ci_high == price_bound(3.0, 0.8)
    assert got.price_bound.ci_low == price_bound(1.5, 0.95)
    assert got.margin.value == pytest.approx(6.0 - price_bound(2.0, 0.9))
    assert got.margin.ci_low == pytest.approx(6.0 - price_bound(3.0, 0.8))
    assert got.price_bound.confidence == pytest.approx(0.95)
    assert (got.sharp_price_bound.value or 0) < (got.price_bound.value or 0)


def test_undefined_and_vacuous() -> None:
    gone = certify(Estimate.undefined("truncated_support", "nats"), known(0.9, 0.8, 1.0), 6.0)
    assert gone.price_bound.reason == gone.margin.reason == "truncated_support"
    vacuous = certify(known(2.0, 1.5, 3.0), known(0.0, 0.0, 0.05), 6.0)
    assert (vacuous.price_bound.value, vacuous.price_bound.ci_high) == (None, None)
    assert (vacuous.price_bound.status, vacuous.margin.status) == ("censored", "censored")
    assert vacuous.margin.ci_low is None
    weak = certify(known(2.0, 1.5, 3.0, "unreliable"), known(0.9, 0.8, 0.95), 6.0)
    assert (weak.price_bound.status, weak.margin.reason) == ("unreliable", "heavy")
