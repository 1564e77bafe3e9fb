import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, special

from workers.numerics.logspace import (
    log1mexp,
    log_betainc,
    log_betaincc,
    log_mean_exp,
    log_sum_exp,
    log_sum_exp_along,
)


def test_log_sum_exp_by_hand() -> None:
    # log(1 + 2 + 3), shifted by -1000 nats
    logs = np.log([1.0, 2.0, 3.0]) - 1000.0
    assert log_sum_exp(logs) == pytest.approx(math.log(6.0) - 1000.0, abs=1e-12)
    assert log_mean_exp(logs) == pytest.approx(math.log(2.0) - 1000.0, abs=1e-12)
    assert log_sum_exp(np.array([-math.inf, 0.0])) == 0.0
    assert log_sum_exp(np.full(3, -math.inf)) == -math.inf
    assert log_sum_exp(np.zeros(0)) == -math.inf
    with pytest.raises(ValueError, match="nothing"):
        log_mean_exp(np.zeros(0))


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=20), st.floats(-1000, 1000))
def test_shift(values: list[float], shift: float) -> None:
    array = np.array(values)
    assert log_sum_exp(array + shift) == pytest.approx(log_sum_exp(array) + shift, abs=1e-9)


@given(st.integers(0, 2**32), st.sampled_from([0, 1]), st.floats(0.0, 500.0))
def test_sums_along_an_axis_are_scipys_to_the_last_digit(seed: int, axis: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    logs = spread * rng.normal(size=(3, 7))
    logs[rng.random(logs.shape) < 0.2] = -math.inf
    logs[1, 2:4] = logs[0, 2:4]  # two largest terms
    logs[:, 6] = -math.inf
    assert np.array_equal(log_sum_exp_along(logs, axis), special.logsumexp(logs, axis=axis))


@pytest.mark.parametrize("x", [-1e-20, -1e-3, -0.6931, -0.7, -30.0, -700.0])
def test_log1mexp(x: float) -> None:
    # Series: log(1 - e^x) = log(-x) + x/2 + x^2/24 near 0, -e^x far from it
    if x > -1e-2:
        assert log1mexp(x) == pytest.approx(math.log(-x) + x / 2 + x * x / 24, rel=1e-12)
    elif x < -20:
        assert log1mexp(x) == pytest.approx(-math.exp(x), rel=1e-9)
    else:
        assert log1mexp(x) == pytest.approx(math.log(1 - math.exp(x)), rel=1e-12)


def test_log1mexp_edges() -> None:
    assert log1mexp(0.0) == -math.inf
    with pytest.raises(ValueError, match="<= 0"):
        log1mexp(1e-9)


@given(st.floats(0.1, 500), st.floats(0.1, 500), st.floats(0.001, 0.999))
def test_log_betainc_agrees_with_scipy_and_its_complement(a: float, b: float, x: float) -> None:
    direct = float(special.betainc(a, b, x))
    if direct > 1e-250:
        assert log_betainc(a, b, x) == pytest.approx(math.log(direct), rel=1e-9, abs=1e-13)
    assert log_betainc(a, b, x) <= 0.0
    assert log_betaincc(a, b, x) == pytest.approx(log_betainc(b, a, 1 - x), rel=1e-6, abs=1e-10)
    total = np.logaddexp(log_betainc(a, b, x), log_betaincc(a, b, x))
    assert total == pytest.approx(0.0, abs=1e-12)


def test_log_betainc_closed_forms() -> None:
    # I_x(a, 1) = x^a and I_x(1, b) = 1 - (1-x)^b
    assert log_betainc(5000.0, 1.0, 0.1) == pytest.approx(5000 * math.log(0.1), rel=1e-13)
    assert log_betaincc(1.0, 1e6, 0.01) == pytest.approx(1e6 * math.log1p(-0.01), rel=1e-12)
    assert log_betainc(2.0, 3.0, 0.0) == -math.inf
    assert log_betainc(2.0, 3.0, 1.0) == 0.0
    assert log_betaincc(2.0, 3.0, 1.0) == -math.inf
    assert log_betaincc(2.0, 3.0, 0.0) == 0.0


@pytest.mark.parametrize(("a", "b", "x"), [(900.5, 1200.0, 0.02), (30000.0, 1e5, 0.001), (400.5, 3.5, 1e-3)])
def test_deep_tail_against_quadrature(a: float, b: float, x: float) -> None:
    # Scale the integrand by its value at x, where it peaks: theta = x e^-u.
    def integrand(u: float) -> float:
        return math.exp(-a * u + (b - 1) * (math.log1p(-x * math.exp(-u)) - math.log1p(-x)))

    area = integrate.quad(integrand, 0, 60 / a, epsabs=0, epsrel=1e-12)[0]
    exact = a * math.log(x) + (b - 1) * math.log1p(-x) + math.log(area) - special.betaln(a, b)
    assert special.betainc(a, b, x) == 0.0
    assert log_betainc(a, b, x) == pytest.approx(exact, rel=1e-11)


@pytest.mark.parametrize(
    "bad", [(0.0, 1.0, 0.5), (1.0, math.inf, 0.5), (1.0, 1.0, 1.5), (1.0, 1.0, math.nan)]
)
def test_log_betainc_refuses(bad: tuple[float, float, float]) -> None:
    for function in (log_betainc, log_betaincc):
        with pytest.raises(ValueError, match=r"beta|x must"):
            function(*bad)
