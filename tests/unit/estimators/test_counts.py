import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from workers.estimators.counts import (
    clopper_pearson,
    confidence_sequence,
    confidence_sequence_log_e,
    epsilon,
    log_budget,
    log_e_in,
    log_e_out,
    success_interval,
    success_lower_bound,
    success_upper_bound,
)

EPS = epsilon(256, 0.5)


@st.composite
def tallies(draw: st.DrawFn, most: int = 3000) -> tuple[int, int]:
    n = draw(st.integers(0, most))
    return draw(st.integers(0, n)), n


def test_epsilon_by_hand() -> None:
    # 1 - (1 - 0.75)^(1/2) = 1 - 0.5
    assert epsilon(2, 0.75) == pytest.approx(0.5, rel=1e-14)
    assert epsilon(1, 0.3) == pytest.approx(0.3, rel=1e-14)
    assert log_budget(2, 0.75) == pytest.approx(math.log(2.0), rel=1e-14)
    # theory: K = 128, 1024, 8192 at reach 0.95 give 3.77, 5.84, 7.91 nats
    assert [round(log_budget(k, 0.95), 2) for k in (128, 1024, 8192)] == [3.77, 5.84, 7.91]


@given(st.integers(1, 10**9), st.floats(1e-6, 1 - 1e-6))
def test_epsilon_inverts_pass_at_k(k: int, reach: float) -> None:
    assert -math.expm1(k * math.log1p(-epsilon(k, reach))) == pytest.approx(reach, rel=1e-9)


@pytest.mark.parametrize("bad", [(0, 0.5), (8, 0.0), (8, 1.0), (8, math.nan)])
def test_epsilon_refuses(bad: tuple[int, float]) -> None:
    with pytest.raises(ValueError, match=r"budget|reach"):
        epsilon(*bad)


@pytest.mark.parametrize(("c", "n"), [(0, 1), (0, 40), (1, 40), (5, 40), (40, 40), (2, 3)])
def test_e_values_against_quadrature_of_their_definition(c: int, n: int) -> None:
    threshold, planned = 0.1, 50

    def ratio(theta: float) -> float:
        return (theta / threshold) ** c * ((1 - theta) / (1 - threshold)) ** (n - c)

    def mean(low: float, high: float, t: float) -> float:
        # theta = x^2 removes the pole of the prior at 0
        top = integrate.quad(lambda x: 2 * (1 - x * x) ** (t - 1) * ratio(x * x), low**0.5, high**0.5)[0]
        return top / integrate.quad(lambda x: 2 * (1 - x * x) ** (t - 1), low**0.5, high**0.5)[0]

    assert log_e_out(c, n, threshold, planned) == pytest.approx(
        math.log(mean(0, threshold, planned)), abs=1e-7
    )
    assert log_e_in(c, n, threshold) == pytest.approx(
        math.log(mean(threshold, 1.0, 0.2 / threshold)), abs=1e-6
    )


@pytest.mark.parametrize("a", [0.1, 0.15, 0.6])
def test_e_out_has_mean_at_most_one_on_its_null(a: float) -> None:
    # By enumeration of c; at the threshold it is exactly one.
    n = 60
    mean = sum(stats.binom.pmf(c, n, a) * math.exp(log_e_out(c, n, 0.1, 100)) for c in range(n + 1))
    assert mean == pytest.approx(1.0, abs=1e-9) if a == 0.1 else mean < 1.0


def test_a_rate_far_above_the_threshold_is_never_out() -> None:
    # The untruncated beta mixture takes any surprise for evidence: it calls a = 0.3 `out`.
    assert log_e_out(30, 100, epsilon(256, 0.5), 2048) < -8.0


@pytest.mark.parametrize("a", [0.1, 0.05, 0.001])
def test_e_in_has_mean_at_most_one_on_its_null(a: float) -> None:
    n = 60
    mean = sum(stats.binom.pmf(c, n, a) * math.exp(log_e_in(c, n, 0.1)) for c in range(n + 1))
    assert mean == pytest.approx(1.0, abs=1e-9) if a == 0.1 else mean < 1.0


@pytest.mark.parametrize("n", [1, 1000, 10**6])
@pytest.mark.parametrize("threshold", [1e-6, 1e-4, 0.0027, 0.3, 0.99])
def test_e_values_are_finite_at_every_count(n: int, threshold: float) -> None:
    for share in (0.0, 1e-5, 0.001, 0.3, 0.9, 1.0):
        c = round(share * n)
        assert math.isfinite(log_e_out(c, n, threshold, 2048))
        assert math.isfinite(log_e_in(c, n, threshold))


@given(tallies())
def test_no_samples_no_evidence_and_weighted_sums_are_no_counts(tally: tuple[int, int]) -> None:
    c, n = tally
    assert log_e_out(0, 0, EPS, 2048) == pytest.approx(0.0, abs=1e-12)
    assert log_e_in(0, 0, EPS) == pytest.approx(0.0, abs=1e-12)
    with pytest.raises(ValueError, match="whole"):
        log_e_out(c + 0.5, n + 1, EPS, 2048)  # type: ignore[arg-type]


@given(tallies(500), st.floats(0.001, 0.9))
def test_a_success_helps_in_and_hurts_out(tally: tuple[int, int], threshold: float) -> None:
    c, n = tally
    assert log_e_in(c + 1, n + 1, threshold) > log_e_in(c, n + 1, threshold)
    assert log_e_out(c + 1, n + 1, threshold, 2048) < log_e_out(c, n + 1, threshold, 2048)


def test_clopper_pearson_by_hand() -> None:
    # 0 of 20: upper end 1 - 0.025^(1/20); 20 of 20 mirrored; 1 of 1: low = 0.025
    assert clopper_pearson(0, 20, 0.95) == pytest.approx((0.0, 1 - 0.025**0.05), rel=1e-12)
    assert clopper_pearson(20, 20, 0.95) == pytest.approx((0.025**0.05, 1.0), rel=1e-12)
    assert clopper_pearson(1, 1, 0.95) == pytest.approx((0.025, 1.0))
    assert clopper_pearson(0, 0, 0.95) == (0.0, 1.0)


@given(tallies(400), st.floats(0.5, 0.999))
def test_clopper_pearson_inverts_the_exact_test(tally: tuple[int, int], confidence: float) -> None:
    c, n = tally
    low, high = clopper_pearson(c, n, confidence)
    half = (1 - confidence) / 2
    assert low <= (c / n if n else 0.5) <= high
    if c:
        assert stats.binom.sf(c - 1, n, low) == pytest.approx(half, rel=1e-6)
    if c < n:
        assert stats.binom.cdf(c, n, high) == pytest.approx(half, rel=1e-6)


@pytest.mark.parametrize("a", [0.003, 0.04, 0.5, 0.97])
def test_clopper_pearson_covers(a: float) -> None:
    n = 64
    inside = [low <= a <= high for low, high in (clopper_pearson(c, n, 0.95) for c in range(n + 1))]
    assert stats.binom.pmf(np.flatnonzero(inside), n, a).sum() >= 0.95


@given(tallies(2000), st.floats(0.001, 0.3), st.sampled_from([1e-4, 0.0027, 0.08]))
def test_confidence_sequence_solves_its_definition(
    tally: tuple[int, int], alpha: float, threshold: float
) -> None:
    c, n = tally
    low, high = confidence_sequence(c, n, alpha, threshold)
    assert 0.0 <= low <= (c / n if n else 0.5) <= high <= 1.0
    assert (low > 0.0) == (c > 0)

    def log_ratio(a: float) -> float:
        priors = ((0.5, 0.5), (0.5, 1 / threshold))
        logs = [stats.betabinom(n, s, t).logpmf(c) for s, t in priors]
        return float(np.logaddexp(*logs) - math.log(2) - stats.binom.logpmf(c, n, a))

    if low > 1e-200:
        assert log_ratio(low) == pytest.approx(-math.log(alpha), abs=1e-5)
        assert confidence_sequence_log_e(c, n, math.log(low), threshold) == pytest.approx(
            -math.log(alpha), abs=1e-6
        )
    if 0 < c < n:
        assert log_ratio(high) == pytest.approx(-math.log(alpha), abs=1e-5)


@given(tallies(500), st.lists(st.floats(-30.0, 0.0), min_size=2, max_size=2))
def test_held_sequence_falls_in_a(tally: tuple[int, int], logs: list[float]) -> None:
    c, n = tally
    low, high = sorted(logs)
    assert confidence_sequence_log_e(c, n, low, EPS) >= confidence_sequence_log_e(c, n, high, EPS) - 1e-9


def test_confidence_sequence_beats_a_flat_prior_near_zero() -> None:
    # Theory: c = 0, n = 8192, 95 %: uniform prior 1.46e-3, fixed n 3.66e-4
    high = confidence_sequence(0, 8192, 0.05, EPS)[1]
    assert 3.66e-4 < high < 1.0e-3


@pytest.mark.parametrize("a", [0.002, 0.1, 0.6])
def test_confidence_sequence_covers_at_every_n(a: float) -> None:
    # Exact recursion over c, looking after every sample.
    alpha, horizon = 0.1, 400
    alive, missed = np.zeros(horizon + 2), 0.0
    alive[0] = 1.0
    for n in range(1, horizon + 1):
        moved = alive * (1 - a)
        moved[1:] += alive[:-1] * a
        for c in np.flatnonzero(moved > 1e-12):
            low, high = confidence_sequence(int(c), n, alpha, EPS)
            if not low <= a <= high:
                missed += moved[c]
                moved[c] = 0.0
        alive = moved
    assert missed <= alpha


@pytest.mark.parametrize("a", [0.001, 0.02, 0.3])
def test_adaptive_interval_covers_under_a_hostile_top_up(a: float) -> None:
    # Top up exactly when the pilot's own interval would cover, to a size that grows with its luck.
    covered, pilot = 0.0, 32
    for c in range(pilot + 1):
        weight = float(stats.binom.pmf(c, pilot, a))
        if weight < 1e-10:
            continue
        low, high = success_interval(c, pilot, c, pilot, confidence=0.9, threshold=EPS, adaptive=True)
        if not low <= a <= high:
            continue
        more = 50 if c / pilot > a else 300
        for extra in range(more + 1):
            low, high = success_interval(
                c, pilot, c + extra, pilot + more, confidence=0.9, threshold=EPS, adaptive=True
            )
            covered += weight * float(stats.binom.pmf(extra, more, a)) * (low <= a <= high)
    assert covered >= 0.9


def test_plans_choose_their_interval() -> None:
    fixed = success_interval(3, 64, 3, 64, confidence=0.95, threshold=EPS, adaptive=False)
    assert fixed == clopper_pearson(3, 64, 0.95)
    pilot = success_interval(3, 64, 3, 64, confidence=0.95, threshold=EPS, adaptive=True)
    assert pilot == pytest.approx(clopper_pearson(3, 64, 1 - 0.6 * 0.05))
    more = success_interval(3, 64, 5, 500, confidence=0.95, threshold=EPS, adaptive=True)
    assert more == pytest.approx(confidence_sequence(5, 500, 0.4 * 0.05, EPS))
    with pytest.raises(ValueError, match="fixed plan"):
        success_interval(3, 64, 5, 500, confidence=0.95, threshold=EPS, adaptive=False)
    with pytest.raises(ValueError, match="successes"):
        success_interval(3, 64, 2, 500, confidence=0.95, threshold=EPS, adaptive=True)


def test_one_sided_bounds() -> None:
    # 0 of 64, fixed: 1 - alpha^(1/64)
    high = success_upper_bound(0, 64, 0, 64, alpha=0.05, threshold=EPS, adaptive=False)
    assert high == pytest.approx(1 - 0.05 ** (1 / 64))
    low = success_lower_bound(64, 64, 64, 64, alpha=0.05, threshold=EPS, adaptive=True)
    assert low == pytest.approx(0.03 ** (1 / 64))
    ends = confidence_sequence(5, 500, 0.02, EPS)
    assert success_lower_bound(3, 64, 5, 500, alpha=0.05, threshold=EPS, adaptive=True) == ends[0]
    assert success_upper_bound(3, 64, 5, 500, alpha=0.05, threshold=EPS, adaptive=True) == ends[1]
