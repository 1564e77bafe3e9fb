"""Sizes and error rates of the two classes, by exact recursion over the number of successes."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from workers.estimators.counts import epsilon, log_e_in, log_e_out
from workers.estimators.settle import samples_to_settle, samples_to_settle_in

EPS = epsilon(256, 0.5)
TARGET = math.log(20.0)
PLANNED = 2048


def table(side: str, threshold: float, planned_n: int, horizon: int, most: int) -> np.ndarray:
    """Log e-values by direct evaluation of the formula, for n = 1..horizon and c = 0..most."""
    n = np.arange(1, horizon + 1)[:, None]
    c = np.minimum(np.arange(most + 1)[None, :], n)
    s, t = 0.5, planned_n if side == "out" else 0.2 / threshold
    tail = special.betainc if side == "out" else special.betaincc
    with np.errstate(divide="ignore"):
        top = special.betaln(c + s, n - c + t) + np.log(tail(c + s, n - c + t, threshold))
    bottom = special.betaln(s, t) + np.log(tail(s, t, threshold))
    return top - bottom - c * np.log(threshold) - (n - c) * np.log1p(-threshold)


def crossing(log_e: np.ndarray, a: float, target: float = TARGET) -> np.ndarray:
    """Exact chance that the e-value has reached the target by each n, looking after every sample."""
    alive = np.zeros(log_e.shape[1])
    alive[0] = 1.0
    crossed = np.empty(len(log_e))
    done = 0.0
    for i, row in enumerate(log_e):
        moved = alive * (1.0 - a)
        moved[1:] += alive[:-1] * a
        stop = row >= target
        # Beyond the table: certain for `in`, impossible for `out`.
        done += moved[stop].sum() + (alive[-1] * a if stop[-1] else 0.0)
        alive = np.where(stop, 0.0, moved)
        crossed[i] = done
    return crossed


def test_no_success_decides_out_after_1191_samples() -> None:
    assert samples_to_settle(0, 0, EPS, TARGET, PLANNED) == 1191
    assert log_e_out(0, 1190, EPS, PLANNED) < TARGET <= log_e_out(0, 1191, EPS, PLANNED)


def test_fixed_plan_needs_log_20_over_epsilon() -> None:
    # (1 - eps)^n <= 0.05 with eps = 0.0027039: n = ln 20 / -ln(1 - eps) = 1106.4 = 4.32 K
    assert math.log(20.0) / -math.log1p(-EPS) == pytest.approx(1106.4, abs=0.1)


@pytest.mark.parametrize("side", ["out", "in"])
def test_table_is_the_function(side: str) -> None:
    log_e = table(side, EPS, PLANNED, 300, 6)
    for n, c in ((1, 0), (17, 3), (300, 0), (300, 6), (64, 1)):
        value = log_e_out(c, n, EPS, PLANNED) if side == "out" else log_e_in(c, n, EPS)
        assert value == pytest.approx(log_e[n - 1, c], abs=1e-9)


def test_errors_at_the_threshold_however_often_one_looks() -> None:
    # Exact. Ville allows 5 %; `out` comes close, most of it at its first chance, n = 1191 without a success.
    out = crossing(table("out", EPS, PLANNED, 8192, 90), EPS)
    assert out[1189] == 0.0
    assert out[1190] == pytest.approx((1.0 - EPS) ** 1191, rel=1e-9)
    assert [round(float(out[n - 1]), 4) for n in (2048, 8192)] == [0.0398, 0.0485]
    inside = crossing(table("in", EPS, PLANNED, 8192, 90), EPS)
    assert [round(float(inside[n - 1]), 4) for n in (2048, 8192)] == [0.0203, 0.0261]


def test_truncation_protects_what_is_far_on_the_wrong_side() -> None:
    assert crossing(table("out", EPS, PLANNED, 2000, 1200), 0.3)[-1] < 0.01
    assert crossing(table("in", EPS, PLANNED, 2000, 30), EPS / 10)[-1] < 0.01
    # The plain beta-binomial mixture rejects "a = eps" from above: 30 of 100 gives it 20 nats.
    plain = special.betaln(30.5, 70 + PLANNED) - special.betaln(0.5, PLANNED)
    plain -= 30 * math.log(EPS) + 70 * math.log1p(-EPS)
    assert plain == pytest.approx(19.99, abs=0.01)
    assert log_e_out(30, 100, EPS, PLANNED) < -8.0


def test_how_soon_in_is_shown() -> None:
    ten = crossing(table("in", EPS, PLANNED, 400, 60), 10 * EPS)
    median = int(np.searchsorted(ten, 0.5)) + 1
    assert 60 <= median <= 140
    half = crossing(table("in", EPS, PLANNED, 40, 41), 0.5)
    assert int(np.searchsorted(half, 0.5)) + 1 == 3


def test_samples_to_settle_is_the_first_that_suffices() -> None:
    for c, n in ((0, 64), (1, 64), (1, 1191), (3, 500)):
        more = samples_to_settle(c, n, EPS, TARGET, PLANNED)
        assert more is not None
        assert log_e_out(c, n + more, EPS, PLANNED) >= TARGET
        assert log_e_out(c, n + more - 1, EPS, PLANNED) < TARGET
    assert samples_to_settle(0, 1191, EPS, TARGET, PLANNED) == 0


def test_in_forecast() -> None:
    assert samples_to_settle_in(0, 64, EPS, TARGET) is None
    assert samples_to_settle_in(1, 1000, EPS, TARGET) is None
    assert samples_to_settle_in(3, 3, EPS, TARGET) == 0
    more = samples_to_settle_in(1, 50, EPS, TARGET)
    assert more is not None
    n = 50 + more
    assert log_e_in(math.ceil(n / 50), n, EPS) >= TARGET
    assert log_e_in(math.floor(n / 50) - 1, n, EPS) < TARGET


@given(st.integers(0, 5), st.integers(5, 3000), st.floats(1.0, 12.0))
def test_failures_always_raise_out(c: int, n: int, target: float) -> None:
    assert log_e_out(c, n + 1, EPS, PLANNED) > log_e_out(c, n, EPS, PLANNED)
    assert log_e_out(c + 1, n + 1, EPS, PLANNED) < log_e_out(c, n, EPS, PLANNED)
    easy = samples_to_settle(c, n, EPS, target, PLANNED)
    hard = samples_to_settle(c, n, EPS, target + 1.0, PLANNED)
    assert easy is not None
    assert hard is not None
    assert easy <= hard
