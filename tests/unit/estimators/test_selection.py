import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.estimators.selection import e_bh, e_bh_rows, log_target


def test_by_hand() -> None:
    # M = 4, alpha = 0.1: k = 1, 2, 3, 4 need 40, 20, 13.3, 10. E sorted 39, 25, 14, 2: k* = 3.
    log_e = np.log([2.0, 39.0, 14.0, 25.0])
    assert e_bh(log_e, 0.1).tolist() == [False, True, True, True]
    # 39, 19, 13, 2: no k passes
    assert not e_bh(np.log([2.0, 39.0, 13.0, 19.0]), 0.1).any()
    assert e_bh(np.zeros(0), 0.1).size == 0
    assert e_bh(np.array([-math.inf, 5.0]), 0.1).tolist() == [False, True]
    assert e_bh(np.log([20.0, 20.0, 20.0]), 0.1 + 1e-12).tolist() == [True] * 3


def slow(log_e: list[float], alpha: float) -> list[bool]:
    m = len(log_e)
    for k in range(m, 0, -1):
        chosen = [math.log(alpha * k) + value >= math.log(m) for value in log_e]
        if sum(chosen) >= k:
            return chosen
    return [False] * m


@given(st.lists(st.floats(-5, 12), max_size=30), st.floats(0.01, 0.5))
def test_against_the_definition(log_e: list[float], alpha: float) -> None:
    fast = e_bh(np.array(log_e), alpha)
    assert fast.tolist() == slow(log_e, alpha)


ROW = st.floats(2, 6) | st.just(-math.inf)  # round the levels


@given(st.integers(1, 6).flatmap(lambda m: st.lists(st.lists(ROW, min_size=m, max_size=m), min_size=1)))
def test_rows_are_selected_each_on_its_own(rows: list[list[float]]) -> None:
    each = [e_bh(np.array(row), 0.05).tolist() for row in rows]
    assert e_bh_rows(np.array(rows), 0.05).tolist() == each


@given(st.lists(st.floats(-5, 12), min_size=1, max_size=20), st.integers(0, 19), st.floats(0, 5))
def test_more_evidence_never_deselects(log_e: list[float], at: int, more: float) -> None:
    before = e_bh(np.array(log_e), 0.05)
    log_e[at % len(log_e)] += more
    assert (e_bh(np.array(log_e), 0.05) | ~before).all()


def test_false_discovery_rate_under_dependence() -> None:
    # One shared coin: all 20 nulls pay 20-fold together with chance 1/20; 5 signals always pay.
    rng = np.random.default_rng(5)
    rates = []
    for _ in range(2000):
        log_e = np.full(25, -20.0)
        log_e[20:] = 6.0
        if rng.random() < 0.05:
            log_e[:20] = math.log(20.0)
        chosen = e_bh(log_e, 0.05)
        rates.append(chosen[:20].sum() / max(chosen.sum(), 1))
    assert 0.02 < np.mean(rates) <= 0.05


def test_target() -> None:
    assert log_target(20, 3, 0.05) == pytest.approx(math.log(20 / 0.15))
    assert log_target(20, 0, 0.05) == log_target(20, 1, 0.05) == pytest.approx(math.log(400))
    for bad in ((0, 0, 0.05), (3, 4, 0.05), (3, 1, 0.0)):
        with pytest.raises(ValueError, match=r"needs|alpha"):
            log_target(*bad)


def test_reaching_the_target_selects() -> None:
    log_e = np.full(20, -3.0)
    log_e[:3] = log_target(20, 3, 0.05) + 1e-12
    assert e_bh(log_e, 0.05).sum() == 3
    log_e[:3] = log_target(20, 3, 0.05) - 1e-6
    assert e_bh(log_e, 0.05).sum() == 0
