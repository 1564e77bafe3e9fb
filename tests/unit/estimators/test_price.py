import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from workers.estimators.counts import epsilon
from workers.estimators.estimate import Estimate
from workers.estimators.evidence import Levels, reference_evidence
from workers.estimators.importance import has_bounded_weights, pooled_log_success
from workers.estimators.price import CONDITIONAL, FEW_SUCCESSES, HELD_PILOT, PRICE_TOLERANCE, graded
from workers.estimators.reference_counts import ReferenceCounts
from workers.estimators.scored_round import ScoredRound

ALPHA = 0.05


def price(
    pilot: tuple[int, int],
    scoring: list[ScoredRound] | None = None,
    every: tuple[int, int] | None = None,
    *,
    adaptive: bool = True,
) -> Estimate:
    (c0, n0), (c, n) = pilot, every or pilot
    counts = ReferenceCounts(pilot_successes=c0, pilot_n=n0, successes=c, n=n)
    levels = Levels(
        epsilon_use=epsilon(8, 0.5),
        epsilon_probe=epsilon(256, 0.5),
        planned_n=2048,
        alpha=ALPHA,
        adaptive=adaptive,
    )
    return reference_evidence(counts, scoring, levels).price


def scored(own: list[float], candidate: list[float], n: int = 64, n_p: int | None = None) -> ScoredRound:
    """Log p/q of the successes that each side drew; +inf where the candidate gives one no mass."""
    ratios = np.array(own + candidate)
    log_q = np.where(np.isposinf(ratios), -np.inf, -60.0)
    log_p = np.where(np.isposinf(ratios), -60.0, log_q + np.where(np.isposinf(ratios), 0.0, ratios))
    from_candidate = np.arange(ratios.size) >= len(own)
    size = n if n_p is None else n_p
    return ScoredRound.of_pair(log_p, log_q, np.ones(ratios.size, bool), from_candidate, size, n)


def covering(a: float, b: float, own: int) -> ScoredRound:
    """Scores of a candidate that gives every success of the reference the same weight."""
    return scored([math.log(a / b)] * own, [math.log(a / b)] * round(64 * b))


def test_one_lucky_success_of_the_pilot_is_no_price_to_rely_on() -> None:
    found = price((1, 64))
    assert found.value == pytest.approx(math.log(64))
    assert (found.status, found.reason) == ("unreliable", FEW_SUCCESSES)


def test_modes_that_the_candidate_never_draws_leave_the_price_conditional() -> None:
    # Perfect weights at e^-18; what 1,300 failures of the reference exclude is a above 0.005.
    found = price((0, 64), [covering(1e-8, 0.9, 0)], (0, 1300))
    assert found.value == pytest.approx(-math.log(1e-8), abs=0.1)
    assert (found.status, found.reason) == ("unreliable", CONDITIONAL)
    assert found.ci_low == pytest.approx(5.3, abs=0.3)


def test_a_price_that_the_references_own_samples_confirm_is_ok() -> None:
    found = price((8, 64), [covering(0.12, 0.9, 8)])
    assert found.status == "ok"
    assert found.value == pytest.approx(-math.log(0.12), abs=0.1)
    # a(1 +- 2 sqrt(..)): 8 of 64 leave up to 0.25, ln 2 above
    assert found.value - found.ci_low < 0.9  # type: ignore[operator]


def test_a_lucky_success_that_the_candidate_gives_mass_does_not_set_the_price() -> None:
    # Five scored successes at p/q = 1/100 are too few to rely on, yet 1 of 64 is no rival for them:
    # w = p/((p + q)/2) = 2/101 each, mean of 128 draws (1 + 5) * 2/101/128.
    few = scored([math.log(1e-2)], [math.log(1e-2)] * 5)
    assert pooled_log_success([few]).status == "unreliable"
    found = price((1, 64), [few])
    assert found.value == pytest.approx(-math.log(6 * 2 / 101 / 128))
    assert (found.status, found.reason) == ("unreliable", CONDITIONAL)


def test_a_success_that_the_candidate_gives_no_mass_weighs_as_much_as_in_the_pilot() -> None:
    # w = N/n_p = 2 for three of them, over 128 draws: the pilot's 3 of 64.
    found = price((3, 64), [scored([math.inf] * 3, [math.log(1e-9)] * 50)])
    assert found.value == pytest.approx(-math.log(3 / 64), abs=1e-6)


def test_a_pilot_that_later_samples_contradict_is_held_to_their_bound() -> None:
    found = price((2, 64), None, (2, 1500))
    assert found.value == found.ci_low > -math.log(2 / 64)  # type: ignore[operator]
    assert (found.status, found.reason) == ("unreliable", HELD_PILOT)


def test_weights_are_bounded_where_the_reference_drew_too() -> None:
    alone = scored([], [math.log(1e-3)] * 5, n_p=0)
    both = scored([], [math.log(1e-3)] * 5)
    assert has_bounded_weights([both])
    assert not has_bounded_weights([alone])
    # Rounds of the same proposals are pooled, and with them their draws.
    assert has_bounded_weights([alone, both])
    assert not has_bounded_weights([])
    # Without a draw of the reference to pool with, weak weights give way to the pilot's rate.
    assert price((1, 64), [alone]).value == pytest.approx(math.log(64))


def test_the_edge_of_the_grade() -> None:
    def at(below: float, above: float, *, is_scored: bool = True) -> tuple[str, str]:
        made = Estimate(value=5.0, ci_low=5.0 - below, ci_high=5.0 + above, confidence=0.95, unit="nats")
        found = graded(made, is_scored=is_scored)
        return found.status, found.reason

    inside, outside = PRICE_TOLERANCE - 1e-9, PRICE_TOLERANCE + 1e-9
    assert at(inside, inside) == ("ok", "")
    assert at(outside, inside) == ("unreliable", CONDITIONAL)
    assert at(inside, outside) == ("unreliable", FEW_SUCCESSES)
    assert at(outside, inside, is_scored=False) == ("unreliable", FEW_SUCCESSES)


@pytest.mark.parametrize("n", [8, 64, 256])
@pytest.mark.parametrize("adaptive", [False, True])
def test_in_no_world_are_ok_prices_far_off_more_often_than_the_level(n: int, adaptive: bool) -> None:
    # Every outcome of a fixed pilot, by enumeration: P(graded ok and beyond the tolerance) <= alpha.
    prices = [price((c, n), adaptive=adaptive) for c in range(n + 1)]
    worst = 0.0
    for a in np.geomspace(1e-6, 0.99, 120):
        chances = stats.binom.pmf(np.arange(n + 1), n, a)
        wrong = [
            one.status == "ok" and abs(one.value + math.log(a)) > PRICE_TOLERANCE  # type: ignore[operator]
            for one in prices
        ]
        worst = max(worst, float(chances[wrong].sum()))
    assert worst <= ALPHA
    assert sum(one.status == "ok" for one in prices) > n / 3  # and not by refusing all


@given(
    st.integers(0, 64),
    st.integers(0, 64),
    st.floats(-20.0, -0.1),
    st.floats(0.0, 4.0),
    st.integers(0, 2**32 - 1),
)
def test_ok_means_that_both_ends_are_near(
    own: int, candidate: int, log_ratio: float, spread: float, seed: int
) -> None:
    ratios = log_ratio + spread * np.random.default_rng(seed).standard_normal(own + candidate)
    found = price((own, 64), [scored(list(ratios[:own]), list(ratios[own:]))])
    if found.status == "ok":
        assert found.value is not None
        assert found.ci_low is not None
        assert found.ci_high is not None
        assert found.value - PRICE_TOLERANCE <= found.ci_low <= found.value
        assert found.value <= found.ci_high <= found.value + PRICE_TOLERANCE
    if found.value is not None:
        assert found.ci_low is not None
        assert found.ci_low <= found.value
