"""The e-value that classes rest on, against whoever decides what is drawn next: by enumeration."""

import functools
import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.estimators.betting import log_wealth
from workers.estimators.counts import log_e_in
from workers.estimators.evidence import COUNTS_SHARE, log_e_in_combined
from workers.estimators.importance import refuses
from workers.estimators.reference_counts import ReferenceCounts
from workers.estimators.scored_round import ScoredRound

PILOT, ROUNDS = 2, 2
# On a failure and two modes: a = 0.1. A tilt towards both modes, one towards the first alone, a wide one.
P = np.array([0.9, 0.06, 0.04])
CANDIDATES = {"both": (0.4, 0.36, 0.24), "first": (0.1, 0.9, 0.0), "wide": (0.3, 0.7 - 1e-6, 1e-6)}
Draw = tuple[int, ...]
Past = tuple[tuple[Draw, Draw], ...]
"""What the reference and the candidate drew, round by round; the pilot is the first."""
NEXT = ((1, 0), (0, 1), (1, 1))
"""Draws of either side that may be asked for next. The candidate's are scored."""
Combination = Callable[[ReferenceCounts, list[ScoredRound], float], float]


def scored(reference: Draw, candidate: Draw, q: np.ndarray) -> ScoredRound:
    y = np.array([*reference, *candidate], dtype=np.int64)
    sizes = len(reference), len(candidate)
    with np.errstate(divide="ignore"):
        return ScoredRound.of_pair(np.log(P)[y], np.log(q)[y], y > 0, np.arange(y.size) >= sizes[0], *sizes)


def larger(own: ReferenceCounts, rounds: list[ScoredRound], threshold: float) -> float:
    """What decision 005 rules out."""
    wealth = log_wealth(rounds, math.log(threshold), refused=refuses(rounds))
    return max(log_e_in(own.successes, own.n, threshold), wealth)


def e_value(past: Past, q: np.ndarray, threshold: float, combined: Combination) -> float:
    hits = [sum(y > 0 for y in reference) for reference, _ in past]
    counts = ReferenceCounts(
        pilot_successes=hits[0], pilot_n=PILOT, successes=sum(hits), n=sum(len(own) for own, _ in past)
    )
    rounds = [scored(*past[0], q), *(scored((), candidate, q) for _, candidate in past[1:] if candidate)]
    return math.exp(combined(counts, rounds, threshold))


def most_that_can_be_made(
    q: np.ndarray, threshold: float, combined: Combination = log_e_in_combined
) -> float:
    """The largest mean of the e-value over every rule for going on, which sees all that was drawn."""

    def mean(past: Past, sizes: tuple[int, int]) -> float:
        total = 0.0
        for drawn in itertools.product(range(3), repeat=sum(sizes)):
            reference, candidate = drawn[: sizes[0]], drawn[sizes[0] :]
            chance = math.prod([*P[list(reference)], *q[list(candidate)]])
            if chance:
                # The order within a round changes nothing.
                total += chance * best((*past, (tuple(sorted(reference)), tuple(sorted(candidate)))))
        return total

    @functools.cache
    def best(past: Past) -> float:
        stop = e_value(past, q, threshold, combined)
        return stop if len(past) > ROUNDS else max(stop, *(mean(past, sizes) for sizes in NEXT))

    return mean((), (PILOT, PILOT))


@pytest.mark.parametrize("name", CANDIDATES)
@pytest.mark.parametrize("times", [1.0, 1.5])
def test_no_rule_for_what_is_drawn_next_makes_evidence_out_of_nothing(name: str, times: float) -> None:
    # At a = threshold and below it: pilots of both sides, then rounds of either chosen by the past.
    assert most_that_can_be_made(np.array(CANDIDATES[name]), times * 0.1) <= 1.0 + 1e-9


def test_the_larger_of_the_two_would_be_no_e_value() -> None:
    assert most_that_can_be_made(np.array(CANDIDATES["both"]), 0.1, larger) > 1.05


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 8), st.integers(0, 60), st.lists(st.floats(-20.0, 3.0), max_size=12), st.floats(0.001, 0.5)
)
def test_each_part_keeps_its_share_and_the_mean_lies_between(
    c: int, failures: int, log_ratios: list[float], threshold: float
) -> None:
    counts = ReferenceCounts(pilot_successes=c, pilot_n=c + failures, successes=c, n=c + failures)
    log_q, hits = np.full(len(log_ratios), -30.0), np.ones(len(log_ratios), dtype=np.bool_)
    rounds = [ScoredRound.of_pair(log_q + log_ratios, log_q, hits, hits, 8, 12)]
    own = log_e_in(c, c + failures, threshold)
    wealth = log_wealth(rounds, math.log(threshold), refused=refuses(rounds))
    found = log_e_in_combined(counts, rounds, threshold)
    assert found >= max(own + math.log(COUNTS_SHARE), wealth + math.log1p(-COUNTS_SHARE)) - 1e-9
    assert min(own, wealth) - 1e-9 <= found <= max(own, wealth) + 1e-9
    assert log_e_in_combined(counts, None, threshold) == own
