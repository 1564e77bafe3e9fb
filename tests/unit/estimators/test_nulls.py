"""The nulls pass on honest samples, fail on a broken instrument, and say what they need."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.estimators import nulls
from workers.estimators.counts import epsilon, log_e_out
from workers.estimators.nulls import (
    NullSettings,
    aa_null,
    certifiable_budget,
    planted_null,
    samples_needed,
    tilt,
    tilt_null,
    withholding,
)

SETTINGS = NullSettings(k_use=8, k_probe=256, alpha=0.05, reach=0.5)
LEVEL = math.log(20)


def pilot(a: np.ndarray, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    return np.random.default_rng(seed).binomial(n, a), np.full(a.size, n)


class TestCertifiableBudget:
    @pytest.mark.parametrize("n", [5, 32, 64, 1153])
    def test_is_the_largest(self, n: int) -> None:
        found = certifiable_budget(n, log_level=LEVEL, reach=0.5, k_max=10_000)
        assert log_e_out(0, n, epsilon(found, 0.5), n) >= LEVEL
        assert log_e_out(0, n, epsilon(found + 1, 0.5), n) < LEVEL

    def test_is_capped_and_may_be_none(self) -> None:
        assert certifiable_budget(1153, log_level=LEVEL, reach=0.5, k_max=10) == 10
        assert certifiable_budget(4, log_level=LEVEL, reach=0.5, k_max=10) == 0
        assert certifiable_budget(0, log_level=LEVEL, reach=0.5, k_max=10) == 0

    def test_samples_needed_is_the_least(self) -> None:
        # At K = 1, epsilon = 1/2: five failures are needed, so ten samples to halve.
        assert samples_needed(log_level=LEVEL, reach=0.5) == 10


class TestPass:
    @pytest.mark.parametrize("seed", range(5))
    def test_on_independent_samples(self, seed: int) -> None:
        a = np.random.default_rng(100 + seed).beta(0.3, 1.0, 30)
        c, n = pilot(a, 64, seed)
        rng = np.random.default_rng(seed)
        results = [
            aa_null(c, n, SETTINGS, rng),
            tilt_null(c, n, np.full(30, 0.9), SETTINGS, rng),
            planted_null(c, n, SETTINGS, rng),
        ]
        assert [result.status for result in results] == ["passed"] * 3
        assert withholding(results) == []
        assert results[2].observed["planted"] > 0.9

    def test_a_half_at_the_threshold_is_the_hardest_case(self) -> None:
        # Every prompt has exactly epsilon(K') of 128 samples, where false claims are likeliest.
        k = certifiable_budget(64, log_level=LEVEL, reach=0.5, k_max=256)
        c = np.full(40, round(128 * epsilon(k, 0.5)))
        found = aa_null(c, np.full(40, 128), SETTINGS, np.random.default_rng(0))
        assert found.status == "passed"
        assert found.observed["created"] <= 0.05

    @settings(max_examples=15, deadline=None)
    @given(st.integers(0, 10_000), st.integers(10, 80), st.integers(5, 25))
    def test_aa_stays_silent_whatever_the_rates(self, seed: int, n: int, size: int) -> None:
        rng = np.random.default_rng(seed)
        c = rng.binomial(n, rng.random(size))
        found = aa_null(c, np.full(size, n), SETTINGS, rng)
        assert found.observed["created"] <= 0.05
        assert found.status == "passed"


class TestFail:
    """Planted faults of the instrument: a null that cannot fail shows nothing."""

    def test_aa_sees_classes_without_error_control(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def careless(successes: int, n: int, threshold: float, planned_n: int) -> float:
            return 9.0 if successes / n < threshold else -9.0

        def careless_in(successes: int, n: int, threshold: float) -> float:
            return 9.0 if successes / n > threshold else -9.0

        monkeypatch.setattr(nulls, "log_e_out", careless)
        monkeypatch.setattr(nulls, "log_e_in", careless_in)
        nulls._out_table.cache_clear()
        nulls._is_in.cache_clear()
        # 7 of 64 expects 3.5 a half, at the edge of epsilon(6) = 0.109: one half below, one above.
        c = np.full(20, 7)
        small = NullSettings(k_use=8, k_probe=6, alpha=0.05, reach=0.5)
        rng = np.random.default_rng(0)
        results = [
            aa_null(c, np.full(20, 64), small, rng),
            tilt_null(c, np.full(20, 64), np.full(20, 0.9), small, rng),
        ]
        nulls._out_table.cache_clear()
        nulls._is_in.cache_clear()
        assert [result.status for result in results] == ["failed", "failed"]
        assert results[0].observed["created"] > 0.2
        assert len(withholding(results)) == 2

    def test_planted_sees_an_instrument_that_never_says_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(nulls, "e_bh_rows", lambda log_e, alpha: np.zeros(log_e.shape, np.bool_))
        found = planted_null(np.full(10, 3), np.full(10, 64), SETTINGS, np.random.default_rng(0))
        assert found.status == "failed"
        assert found.observed["planted"] == 0.0
        assert "planted 0.000" in found.reason

    def test_aa_sees_a_gain_test_that_is_too_eager(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(nulls, "sign_flip_test", lambda row, rng, flips: 0.04 if row.sum() > 0 else 0.5)
        found = aa_null(np.full(10, 30), np.full(10, 64), SETTINGS, np.random.default_rng(0))
        assert found.status == "failed"


class TestNotRun:
    def test_says_what_it_needs(self) -> None:
        rng = np.random.default_rng(0)
        few = aa_null(np.zeros(20), np.full(20, 9), SETTINGS, rng)
        assert (few.status, few.observed) == ("not_run", {})
        assert few.reason == "needs 10 reference samples a prompt and 5 prompts"
        assert aa_null(np.zeros(4), np.full(4, 64), SETTINGS, rng).status == "not_run"
        assert aa_null([], [], SETTINGS, rng).status == "not_run"
        assert planted_null(np.zeros(1), np.full(1, 64), SETTINGS, rng).status == "not_run"

    def test_tilt_needs_a_prompt_in_reach(self) -> None:
        found = tilt_null(np.zeros(20), np.full(20, 64), np.full(20, 0.9), SETTINGS, np.random.default_rng(0))
        assert found.status == "not_run"
        assert "in reach" in found.reason

    def test_refuses_counts_that_contradict(self) -> None:
        with pytest.raises(ValueError, match="0 <= c <= n"):
            aa_null([5], [4], SETTINGS, np.random.default_rng(0))


def test_halves_are_equal_disjoint_and_exhaustive() -> None:
    halves, _ = nulls._halves(np.array([7, 64, 0, 30]), np.array([64, 64, 65, 65]), SETTINGS, LEVEL, 1)
    assert halves is not None
    first, second = halves.draw(np.random.default_rng(0), 500)
    assert (first + second)[:, :3].tolist() == [[7, 64, 0]] * 500
    assert set((first + second)[:, 3]) == {29, 30}
    assert first[:, 0].mean() == pytest.approx(3.5, abs=0.2)


@pytest.mark.parametrize(("a", "b"), [(0.1, 0.9), (0.6, 0.2), (0.3, 0.3)])
def test_tilt_matches_the_rate(a: float, b: float) -> None:
    rng = np.random.default_rng(0)
    successes = rng.binomial(20_000, a, (50, 1))
    kept, failures = tilt(successes, 20_000 - successes, np.array([a]), np.array([b]), rng)
    assert kept.sum() / (kept + failures).sum() == pytest.approx(b, abs=0.005)
    if a == b:
        assert np.array_equal(kept, successes)


def test_the_same_seed_gives_the_same_answer() -> None:
    c, n = pilot(np.full(12, 0.2), 64, 0)
    found = [planted_null(c, n, SETTINGS, np.random.default_rng(3)) for _ in range(2)]
    assert found[0] == found[1]
