"""Oracles: enumeration of coupled draws, and what one source alone gives."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.estimators.betting import log_lower_bound, log_wealth
from workers.estimators.counts import epsilon
from workers.estimators.evidence import COUNTS_SHARE, Levels, log_e_in_combined, reference_evidence
from workers.estimators.reference_counts import ReferenceCounts
from workers.estimators.scored_round import ScoredRound
from workers.estimators.scored_sources import best_log_bound, best_source, mean_log_wealth, sources_of

USE, PROBE = epsilon(8, 0.5), epsilon(256, 0.5)
NONE = ReferenceCounts(pilot_successes=0, pilot_n=64, successes=0, n=64)
LEVELS = Levels(epsilon_use=USE, epsilon_probe=PROBE, planned_n=2048, alpha=0.05, adaptive=True)


def proposal(ratios: list[float], n: int, name: str = "checkpoint") -> ScoredRound:
    """Successes of one proposal by log p/q, in a round of n draws."""
    log_q = np.full(len(ratios), -60.0)
    return ScoredRound(
        proposals=(name,),
        sizes=(n,),
        log_p=log_q + np.array(ratios),
        log_proposals=log_q[None, :],
        is_correct=np.ones(len(ratios), dtype=bool),
        drawn_by=np.zeros(len(ratios), dtype=np.int64),
    )


def test_the_mean_is_an_e_value_where_draws_are_shared_and_the_product_is_none() -> None:
    # a = 0.1 exactly at the null; two checkpoints with q(C) = 0.5 and 0.4 draw from one uniform each time:
    # both succeed below 0.4, the first alone up to 0.5. Two such draws; every outcome, by enumeration.
    a, cells = 0.1, {(True, True): 0.4, (True, False): 0.1, (False, False): 0.5}
    mean = product = 0.0
    for outcome in itertools.product(cells, repeat=2):
        chance = math.prod(cells[one] for one in outcome)
        sources = [
            [proposal([math.log(a / b)] * sum(one[place] for one in outcome), 2)]
            for place, b in enumerate((0.5, 0.4))
        ]
        mean += chance * math.exp(mean_log_wealth(sources, math.log(a)))
        product += chance * math.exp(sum(log_wealth(one, math.log(a)) for one in sources))
    assert mean == pytest.approx(1.0, abs=1e-12)
    assert product > 1.2


def test_one_source_is_itself() -> None:
    own = [proposal([-4.0, -4.2, -3.9], 8)]
    assert sources_of(None, ()) is None
    assert sources_of(own, ()) == [own]
    assert mean_log_wealth([own], -5.0) == log_wealth(own, -5.0)
    assert best_log_bound([own], 0.05) == log_lower_bound(own, 0.05)
    assert best_log_bound([[]], 0.05) == -math.inf


def test_two_sources_share_the_level() -> None:
    poor, rich = [proposal([-9.0] * 2, 64)], [proposal([-4.0] * 50, 64)]
    assert best_log_bound([poor, rich], 0.05) == log_lower_bound(rich, 0.025)
    each = [math.exp(log_wealth(one, math.log(PROBE))) for one in (poor, rich)]
    assert mean_log_wealth([poor, rich], math.log(PROBE)) == pytest.approx(math.log(sum(each) / 2))


def test_points_come_from_the_soundest_source() -> None:
    few, many = [proposal([-4.0] * 3, 64)], [proposal([-4.0] * 50, 64)]
    wide = [proposal(list(np.linspace(-14, 0, 60)), 64)]
    assert best_source([few, many, wide]) is many
    assert best_source([few, wide]) is few
    assert best_source([[], many]) is many


def test_a_checkpoint_shows_what_a_collapsed_candidate_cannot() -> None:
    # The candidate's successes are hardly the reference's; an earlier checkpoint's are.
    collapsed, early = proposal([-18.0] * 55, 64, "candidate"), proposal([math.log(0.02 / 0.5)] * 32, 64)
    alone = reference_evidence(NONE, [collapsed], LEVELS)
    helped = reference_evidence(NONE, [collapsed], LEVELS, [[early]])
    target = math.log(20.0)
    assert alone.at_probe.log_e_in < target < helped.at_probe.log_e_in
    assert helped.log_lower > math.log(0.01) > alone.log_lower
    # Nothing of the reference's upper end or of `out` moves.
    assert helped.upper == alone.upper
    assert helped.at_probe.log_e_out == alone.at_probe.log_e_out


@given(st.lists(st.floats(-20.0, 0.0), max_size=20), st.integers(0, 3))
def test_sources_beside_never_weigh_more_than_their_share(ratios: list[float], empty: int) -> None:
    own, other = proposal([-5.0] * 10, 64), proposal(ratios, 64)
    beside = [[other], *([proposal([], 64)] for _ in range(empty))]
    with_others = log_e_in_combined(NONE, [own], PROBE, beside)
    counts = log_e_in_combined(NONE, None, PROBE)
    parts = [log_wealth([one], math.log(PROBE)) for one in (own, other)]
    most = COUNTS_SHARE * math.exp(counts)
    most += (1 - COUNTS_SHARE) * (sum(map(math.exp, parts)) + empty) / (2 + empty)
    assert with_others <= math.log(most) + 1e-9


def test_a_source_without_a_round_keeps_its_share() -> None:
    shown = [proposal([-4.0] * 30, 32, "arm:hot")]
    alone, beside_nothing = mean_log_wealth([shown], -5.0), mean_log_wealth([shown, ()], -5.0)
    assert math.exp(beside_nothing) == pytest.approx((math.exp(alone) + 1.0) / 2)
    assert best_log_bound([shown, ()], 0.05) == log_lower_bound(shown, 0.025)


def test_points_are_not_made_of_successes_that_nobody_scored() -> None:
    partly = [replace(proposal([-4.0] * 50, 64), unscored=8)]
    few = [proposal([-4.0] * 12, 64)]
    assert best_source([partly, few]) is few
    assert best_source([partly]) == ()
    assert best_source([few, partly]) is few


def test_an_unscored_success_lowers_evidence() -> None:
    whole, partly = proposal([-4.0] * 30, 32), replace(proposal([-4.0] * 20, 32), unscored=10)
    assert log_wealth([partly], -5.0) < log_wealth([whole], -5.0)


A_NULL, HOT_CHANCES, RATIOS = 0.1, (0.3, 0.2), (math.log(0.06 / 0.3), math.log(0.04 / 0.2))


def test_an_arms_wealth_over_rounds_is_an_e_value_whichever_successes_are_scored() -> None:
    # a = 0.1 at the null: two successes with p = 0.06 and 0.04, which the arm draws with 0.3 and 0.2. A first
    # round of one draw; a second of two only if the first failed. Every outcome, by enumeration.
    outcomes = [(0, HOT_CHANCES[0]), (1, HOT_CHANCES[1]), (None, 0.5)]

    def source(rounds: list[list[int | None]], scored: set[int]) -> list[ScoredRound]:
        found = []
        for drawn in rounds:
            listed = [RATIOS[one] for one in drawn if one in scored]
            hidden = sum(one is not None and one not in scored for one in drawn)
            found.append(replace(proposal(listed, len(drawn), "arm:hot"), unscored=hidden))
        return found

    for scored, exact in (({0, 1}, True), ({0}, False)):
        mean = 0.0
        for first, chance in outcomes:
            if first is not None:
                mean += chance * math.exp(log_wealth(source([[first]], scored), math.log(A_NULL)))
                continue
            for pair in itertools.product(outcomes, repeat=2):
                later = math.prod(one[1] for one in pair)
                rounds = [[None], [one[0] for one in pair]]
                mean += chance * later * math.exp(log_wealth(source(rounds, scored), math.log(A_NULL)))
        assert mean <= 1.0 + 1e-12
        assert exact == (mean == pytest.approx(1.0, abs=1e-12))


def test_a_point_needs_the_rounds_that_were_scored_whatever_they_held() -> None:
    # The rounds of which no success was missed are those that held few: they alone would make a too small.
    log_q = np.full(4, -9.0)
    whole = ScoredRound.of_pair(log_q - 4.0, log_q, np.array([1, 1, 0, 0], bool), np.ones(4, bool), 0, 4)
    read = replace(proposal([-4.0], 8), successes_only=True)
    missed = replace(read, unscored=1)
    assert best_source([[whole, read]]) == [whole, read]
    assert best_source([[whole, read, missed]]) == [whole]
    assert best_source([[read, missed]]) == ()
    assert [one.is_unselected for one in (whole, read, proposal([-4.0], 1))] == [True, False, True]
    assert not replace(proposal([-4.0], 1), successes_only=True).is_unselected
