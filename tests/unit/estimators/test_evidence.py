import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.estimators.betting import log_lower_bound, log_wealth
from workers.estimators.counts import clopper_pearson, epsilon, log_e_in, log_e_out, success_lower_bound
from workers.estimators.evidence import (
    Levels,
    ReferenceEvidence,
    at_other_probe,
    candidate_evidence,
    classify,
    log_e_in_combined,
    log_e_out_of_every_arm,
    lower_log_bound,
    reference_evidence,
)
from workers.estimators.importance import pooled_elbo, pooled_log_success
from workers.estimators.reference_counts import CandidateCounts, ReferenceCounts
from workers.estimators.scored_round import ScoredRound

USE, PROBE = epsilon(8, 0.5), epsilon(256, 0.5)
TARGET = math.log(20.0)


def pilot(c: int, n: int) -> ReferenceCounts:
    return ReferenceCounts(pilot_successes=c, pilot_n=n, successes=c, n=n)


def scored(ratios: np.ndarray, n_p: int = 64, n_q: int = 64) -> ScoredRound:
    log_q = np.full(ratios.size, -60.0)
    ones = np.ones(ratios.size, dtype=bool)
    return ScoredRound.of_pair(ratios + log_q, log_q, ones, ones, n_p, n_q)


def judge(
    counts: ReferenceCounts, scoring: list[ScoredRound] | None, adaptive: bool = True
) -> ReferenceEvidence:
    return reference_evidence(counts, scoring, levels(adaptive=adaptive))


def levels(*, planned_n: int = 2048, alpha: float = 0.05, adaptive: bool = True) -> Levels:
    return Levels(epsilon_use=USE, epsilon_probe=PROBE, planned_n=planned_n, alpha=alpha, adaptive=adaptive)


GOOD = scored(math.log(0.02 / 0.8) + np.random.default_rng(1).normal(0, 0.3, 50))
WIDE = scored(math.log(0.02 / 0.8) + np.random.default_rng(1).normal(0, 5.0, 50))


def test_counts_are_whole_and_nested() -> None:
    made = ReferenceCounts.of(np.array([True, False, True, True]), 2)
    assert made == ReferenceCounts(pilot_successes=1, pilot_n=2, successes=3, n=4)
    with pytest.raises(ValueError, match="whole"):
        ReferenceCounts(pilot_successes=0, pilot_n=4, successes=0.5, n=4)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="successes"):
        ReferenceCounts(pilot_successes=3, pilot_n=4, successes=2, n=8)
    with pytest.raises(ValueError, match="booleans"):
        ReferenceCounts.of(np.array([0.2, 0.8]), 1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="pilot"):
        ReferenceCounts.of(np.array([True]), 2)


@pytest.mark.parametrize(
    ("log_in", "log_out", "expected"),
    [(3.1, -2.0, "in"), (-2.0, 6.0, "out"), (2.9, 5.9, "undetermined"), (3.1, 6.0, "undetermined")],
)
def test_classes(log_in: float, log_out: float, expected: str) -> None:
    assert classify(log_in, log_out, 3.0, 6.0) == expected


def test_combination_is_the_mean_of_e_values() -> None:
    counts = pilot(1, 64)
    wealth = math.exp(log_wealth([GOOD], math.log(PROBE)))
    expected = (2 * math.exp(log_e_in(1, 64, PROBE)) + wealth) / 3
    assert log_e_in_combined(counts, [GOOD], PROBE) == pytest.approx(math.log(expected))
    assert log_e_in_combined(counts, None, PROBE) == log_e_in(1, 64, PROBE)
    # Refused: Markov's ninth of the scores' share is left, the rest is not handed to the counts.
    markov = math.exp(pooled_log_success([WIDE]).value) / PROBE
    left = (2 * math.exp(log_e_in(1, 64, PROBE)) + markov / 9) / 3
    assert log_e_in_combined(counts, [WIDE], PROBE) == pytest.approx(math.log(left))
    # No round yet: wealth 1
    assert log_e_in_combined(counts, [], PROBE) == pytest.approx(
        math.log((2 * math.exp(log_e_in(1, 64, PROBE)) + 1) / 3)
    )


def test_scoring_shows_in_and_never_out() -> None:
    counts = pilot(0, 64)
    with_scoring, without = judge(counts, [GOOD]), judge(counts, None)
    assert classify(with_scoring.at_probe.log_e_in, with_scoring.at_probe.log_e_out, TARGET, TARGET) == "in"
    assert classify(without.at_probe.log_e_in, without.at_probe.log_e_out, TARGET, TARGET) == "undetermined"
    tiny = scored(np.full(60, -25.0))
    assert judge(counts, [tiny]).at_probe.log_e_out == without.at_probe.log_e_out
    assert judge(counts, [tiny]).upper == without.upper == with_scoring.upper


def test_out_of_every_arm_is_the_weakest() -> None:
    arms = [pilot(0, 1300), pilot(0, 64), pilot(2, 2000)]
    each = [log_e_out(arm.successes, arm.n, PROBE, 2048) for arm in arms]
    assert log_e_out_of_every_arm(arms, PROBE, 2048) == min(each)


def test_counts_only_bounds_are_the_interval_of_the_plan() -> None:
    fixed = judge(pilot(3, 64), None, adaptive=False)
    assert (math.exp(fixed.log_lower), fixed.upper) == pytest.approx(clopper_pearson(3, 64, 0.95))
    assert fixed.price.ci_low == pytest.approx(-math.log(fixed.upper))
    assert fixed.price.ci_high == pytest.approx(-fixed.log_lower)
    assert fixed.price.value == pytest.approx(-math.log(3 / 64))
    # relative error of 3/64
    assert fixed.price.std_error == pytest.approx(math.sqrt(61 / 64 / 63 / (3 / 64)))


def test_price_without_a_success_is_censored() -> None:
    price = judge(pilot(0, 64), None).price
    assert (price.value, price.ci_high, price.status) == (None, None, "censored")
    assert price.ci_low == pytest.approx(-math.log(1 - 0.015 ** (1 / 64)))
    everything = judge(pilot(64, 64), None).price
    assert (everything.value, everything.ci_low, everything.std_error) == (0.0, 0.0, None)


def test_price_from_scoring() -> None:
    price = judge(pilot(0, 64), [GOOD]).price
    assert price.value == pytest.approx(-math.log(0.02), abs=0.35)
    assert price.ci_low < price.value < price.ci_high < -math.log(0.02) + 1.2  # type: ignore[operator]
    # A pooled point beyond the bounds gives way to the pilot's rate, of which 2 of 64 are too few.
    refused = judge(pilot(2, 64), [WIDE]).price
    assert refused.value == pytest.approx(math.log(32.0))
    assert refused.status == "unreliable"


def test_where_scoring_refuses_markov_bounds_and_the_elbo_points() -> None:
    far = scored(math.log(1e-9) + np.random.default_rng(1).normal(0, 5.0, 50))
    price = judge(pilot(0, 64), [far]).price
    assert price.status == "unreliable"
    assert "ELBO" in price.reason
    assert "log-spread" in price.reason
    # The ELBO is far below the truth at such a spread: the certified end is the better upper bound.
    assert pooled_elbo([far]).value < -price.ci_high
    assert price.value == price.ci_high
    mean = pooled_log_success([far]).value
    # alpha/2 for this side, half of it for the scores, a ninth of that for Markov
    assert price.ci_high == pytest.approx(-(mean - math.log(9 / 0.0125)), abs=1e-6)


def test_one_scored_success_has_a_bound_and_a_doubtful_point() -> None:
    single = scored(np.array([-8.0]), n_p=1, n_q=1)
    price = judge(pilot(0, 1), [single]).price
    # w = 2 e^-8, mean e^-8: one draw of one candidate sample
    assert price.value == pytest.approx(8.0, abs=1e-3)
    assert price.status == "unreliable"
    assert price.ci_high is not None


def test_the_candidates_evidence_is_its_counts() -> None:
    own = CandidateCounts(pilot_successes=3, pilot_n=64, successes=3, n=64)
    made, same = candidate_evidence(own, levels()), judge(pilot(3, 64), None)
    assert (made.log_lower, made.upper, made.at_use) == (same.log_lower, same.upper, same.at_use)
    assert made.scoring is None


def test_topped_up_without_pilot_success() -> None:
    counts = ReferenceCounts(pilot_successes=0, pilot_n=64, successes=4, n=1000)
    made = judge(counts, None)
    assert made.price.value is None
    assert made.price.status == "censored"
    assert made.price.ci_high is not None
    assert made.success.value == 0.0


def test_deep_price_does_not_underflow() -> None:
    made = judge(pilot(0, 64), [scored(-900.0 + np.random.default_rng(2).normal(0, 0.3, 50))])
    assert made.price.value == pytest.approx(900.0, abs=1.5)
    assert made.price.ci_high == pytest.approx(900.8, abs=1.5)


def test_lower_bound_takes_the_better_half() -> None:
    counts = ReferenceCounts(pilot_successes=1, pilot_n=64, successes=2, n=300)
    low = lower_log_bound(counts, [GOOD], alpha=0.05, threshold=PROBE, adaptive=True)
    deeper = lower_log_bound(counts, [GOOD], alpha=0.01, threshold=PROBE, adaptive=True)
    assert deeper < low < math.log(0.02) + 0.5
    assert low == log_lower_bound([GOOD], 0.025)
    # Counts that show more than the scores do carry the bound, at their half of the level.
    many = ReferenceCounts(pilot_successes=40, pilot_n=64, successes=40, n=64)
    alone = success_lower_bound(40, 64, 40, 64, alpha=0.025, threshold=PROBE, adaptive=False)
    assert lower_log_bound(many, [GOOD], alpha=0.05, threshold=PROBE, adaptive=False) == math.log(alone)
    # Refused scores give nothing back; Markov's bound is far below these counts.
    assert lower_log_bound(many, [WIDE], alpha=0.05, threshold=PROBE, adaptive=False) == math.log(alone)


@pytest.mark.parametrize("a_scale", [1.0, 0.2])
def test_combined_bounds_cover(a_scale: float) -> None:
    # p on (failure, mode 1, mode 2), q tilted towards mode 2; 32 draws each; top-up where none was seen.
    rng, alpha, missed, reps = np.random.default_rng(3), 0.2, 0, 400
    p = np.array([1 - 0.06 * a_scale, 0.04 * a_scale, 0.02 * a_scale])
    q = np.array([0.3, 0.3, 0.4])
    a = float(p[1:].sum())
    for _ in range(reps):
        seen = rng.choice(3, 32, p=p)
        y = np.concatenate([seen, rng.choice(3, 32, p=q)])
        hit = y > 0
        first = ScoredRound.of_pair(np.log(p[y]), np.log(q[y]), hit, np.arange(64) >= 32, 32, 32)
        c = int((seen > 0).sum())
        more = 100 if c == 0 else 0
        counts = ReferenceCounts(
            pilot_successes=c, pilot_n=32, successes=c + int(rng.binomial(more, a)), n=32 + more
        )
        made = reference_evidence(counts, [first], levels(planned_n=132, alpha=alpha))
        missed += not math.exp(made.log_lower) <= a <= made.upper
    assert missed / reps <= alpha


@given(st.integers(0, 64), st.booleans(), st.sampled_from([None, 0, 1, 2]))
def test_never_contradictory(c: int, adaptive: bool, scoring: int | None) -> None:
    rounds = None if scoring is None else [GOOD, WIDE][:scoring]
    made = judge(pilot(c, 64), rounds, adaptive)
    assert made.at_use.log_e_in <= made.at_probe.log_e_in + 1e-9 or made.at_use.log_e_in < TARGET
    assert 0.0 < made.upper <= 1.0
    assert made.price.ci_low is not None
    if made.price.ci_high is not None:
        assert made.price.ci_low <= made.price.ci_high


def test_refusals() -> None:
    with pytest.raises(ValueError, match="probe"):
        Levels(epsilon_use=PROBE, epsilon_probe=USE, planned_n=64, alpha=0.05, adaptive=True)


def test_a_pooled_point_that_contradicts_the_bounds_is_not_used() -> None:
    # A collapsed candidate scores e^-25 with perfect diagnostics; 10 of the reference's own 64 succeeded.
    tiny = scored(np.full(60, -25.0))
    price = judge(pilot(10, 64), [tiny]).price
    assert price.value == pytest.approx(math.log(6.4))
    assert price.ci_low < price.value < price.ci_high  # type: ignore[operator]


def test_a_rate_of_zero_keeps_an_error_of_its_own() -> None:
    # 1/4 of 64: sqrt(1/4 * 3/4 / 63); 0 of 64 shrinks to (1/2)/65: sqrt(r (1 - r) / 64)
    assert judge(pilot(16, 64), None).success.std_error == pytest.approx(math.sqrt(3 / 16 / 63))
    rate = 0.5 / 65
    assert judge(pilot(0, 64), None).success.std_error == pytest.approx(math.sqrt(rate * (1 - rate) / 64))
    assert judge(pilot(0, 0), None).success.status == "undefined"


@pytest.mark.parametrize("topped_up", [False, True])
@pytest.mark.parametrize("scoring", [None, [GOOD], [WIDE, GOOD]])
def test_evidence_at_another_probe_is_what_would_be_made_for_it(
    topped_up: bool, scoring: list[ScoredRound] | None
) -> None:
    more = 300 if topped_up else 0
    counts = ReferenceCounts(pilot_successes=2, pilot_n=64, successes=2 + more // 100, n=64 + more)
    known = reference_evidence(counts, scoring, levels())
    for k in (8, 64, 1024):
        other = replace(levels(), epsilon_probe=epsilon(k, 0.5), planned_n=8 * k)
        expected = reference_evidence(counts, scoring, other)
        assert at_other_probe(known, scoring, other) == expected
        assert (expected.upper != known.upper) is topped_up  # else nothing but the e-values could differ
