"""Draws that were judged first and scored then: what counts, what is read, and that it stays an e-value."""

import functools
import itertools
import math
from dataclasses import replace

import numpy as np
import pyarrow.compute as pc
import pytest
from planted import planted, planted_checkpoints, planted_run

from workers.estimators.betting import log_wealth
from workers.estimators.counts import epsilon
from workers.estimators.scored_round import ScoredRound
from workers.pipelines.later_rounds import draws_to_show_reach, which_count
from workers.pipelines.observations import observe
from workers.pipelines.proposals import proposal_rounds

BUDGET = {"k_use": 1, "k_probe": 64, "samples_per_prompt": 16, "max_samples_per_prompt": 768}


def spec_of(**budget):
    return planted_run([planted("a", 0.5, 0.5)], budget={**BUDGET, **budget}).spec


def pilot_of(a, b, hits, n=16):
    """Pilots without a success of the reference; every success of the candidate weighs a/b."""
    log_q = -np.ones(hits)
    every = np.ones(hits, dtype=bool)
    return ScoredRound.of_pair(log_q + math.log(a / b), log_q, every, every, n, n)


def later(a, b, hits, n, unscored=0):
    """A later round in which so many of n succeeded."""
    log_q = -np.ones(hits - unscored)
    log_p = log_q + math.log(a / b)
    size = log_q.size
    return ScoredRound(
        proposals=("reference", "candidate"),
        sizes=(0, n),
        log_p=log_p,
        log_proposals=np.stack([log_p, log_q]),
        is_correct=np.ones(size, dtype=bool),
        drawn_by=np.ones(size, dtype=np.int64),
        successes_only=True,
        unscored=unscored,
    )


def test_a_round_counts_once_the_candidate_has_succeeded_whatever_it_holds():
    spec, empty, one = spec_of(), later(0.001, 0.3, 0, 8), later(0.001, 0.3, 1, 8)
    assert which_count(spec, pilot_of(0.001, 0.3, 0), [empty, one, empty, one]) == [False, False, True, True]
    assert which_count(spec, pilot_of(0.001, 0.3, 1), [empty, one, empty]) == [True] * 3
    missed = later(0.001, 0.3, 1, 8, unscored=1)
    assert which_count(spec, pilot_of(0.001, 0.3, 0), [missed, empty]) == [False, True]


@pytest.mark.parametrize(("reads", "counts"), [(63, True), (64, False)])
def test_scores_that_promise_nothing_are_given_up_after_k_probe_reads(reads, counts):
    """At K_probe = 64 the threshold is 0.0108; whether a success was scored changes nothing."""
    spec, pilot = spec_of(), pilot_of(0.001, 0.3, 5)
    for unscored in (0, 7):
        read = later(0.001, 0.3, reads, 300, unscored)
        assert draws_to_show_reach(spec, [pilot, read]) is None
        assert which_count(spec, pilot, [read, later(0.001, 0.3, 3, 9)]) == [True, counts]


def test_scores_that_promise_reach_are_read_on():
    spec, pilot, read = spec_of(), pilot_of(0.02, 0.5, 8), later(0.02, 0.5, 64, 128)
    assert draws_to_show_reach(spec, [pilot, read]) is not None
    assert which_count(spec, pilot, [read, read]) == [True, True]


P, Q = np.array([0.2, 0.092893218813452, 0.707106781186548]), np.array([0.45, 0.05, 0.5])
"""Three completions, the first two correct: a is epsilon(2, 0.5) exactly, and b a half."""


def as_round(reference, candidate, whole):
    """Draws of both sides as a round, listed whole or successes alone."""
    drawn = np.array([*reference, *candidate], dtype=np.int64)
    by = np.repeat([0, 1], [len(reference), len(candidate)])
    correct = drawn < 2
    kept = np.ones(drawn.size, dtype=bool) if whole else correct
    log_p, log_q = np.log(P[drawn[kept]]), np.log(Q[drawn[kept]])
    return ScoredRound(
        proposals=("reference", "candidate"),
        sizes=(len(reference), len(candidate)),
        log_p=log_p,
        log_proposals=np.stack([log_p, log_q]),
        is_correct=correct[kept],
        drawn_by=by[kept],
        successes_only=not whole,
    )


@functools.cache
def mean_wealth(rule):
    """Mean wealth at a = epsilon over every outcome of a pilot of 1 + 2 draws and two later rounds of 2."""
    spec = spec_of(k_probe=2, samples_per_prompt=2)
    threshold = math.log(epsilon(2, 0.5))
    total = 0.0
    for drawn in itertools.product(range(3), repeat=7):
        rounds = [
            as_round(drawn[:1], drawn[1:3], True),
            *(as_round((), drawn[i : i + 2], False) for i in (3, 5)),
        ]
        counted = [rounds[0], *itertools.compress(rounds[1:], rule(spec, rounds[0], rounds[1:]))]
        chance = math.prod([*P[list(drawn[:1])], *Q[list(drawn[1:])]])
        total += chance * math.exp(log_wealth(counted, threshold))
    return total


def test_no_evidence_comes_out_of_reading_successes_alone():
    assert epsilon(2, 0.5) == pytest.approx(P[:2].sum())
    assert mean_wealth(which_count) <= 1.0 + 1e-9


def test_rounds_that_count_by_what_they_hold_would_be_no_e_value():
    def held(spec, pilot, later):
        return [bool(one.successes) for one in later]

    assert mean_wealth(held) > 1.1


def topped_up(**run):
    """a above the threshold of 0.0108, b near that of K_use: the candidate's own class takes many draws."""
    made = planted_run([planted(f"p{i}", 0.02, 0.45) for i in range(3)], run=run, budget=BUDGET)
    made.run()
    return made


@pytest.fixture(scope="module")
def finished():
    return topped_up()


def rounds_of(made):
    committed = made.committed(with_samples=False)
    return observe(made.spec, committed.outcomes, committed.scores)


def test_scores_follow_the_judging_and_are_of_successes_alone(finished):
    committed = finished.committed(with_samples=False)
    rows = committed.outcomes.to_pylist()
    judged = {(r["stream"], r["prompt_index"], r["index"]): r["outcome"] for r in rows}
    beyond = [r for r in committed.scores.to_pylist() if r["index"] >= 16]
    assert beyond
    assert {(r["stream"], r["scorer"]) for r in beyond} == {("candidate", "reference")}
    assert {judged[r["stream"], r["prompt_index"], r["index"]] for r in beyond} == {"correct"}
    successes = [key for key, outcome in judged.items() if key[0] == "candidate" and outcome == "correct"]
    assert len(beyond) == sum(index >= 16 for *_, index in successes)
    for shard in finished.inputs:
        if shard["work"] == "score" and shard["round"] > 1:
            source = next(one for one in finished.inputs if one["shard_id"] == shard["depends_on"])
            assert (source["work"], source["round"]) == ("sample", shard["round"] - 1)


def test_every_draw_of_a_later_round_is_bet_on(finished):
    for prompt in rounds_of(finished):
        drawn = finished.committed(with_samples=False).drawn["candidate"][prompt.index]
        assert sum(part.draws for part in prompt.further_rounds) == drawn - 16
        assert all(part.successes_only and not part.is_unselected for part in prompt.further_rounds)
        assert prompt.pilot_round is not None
        assert prompt.pilot_round.is_unselected


def test_what_rests_on_averages_is_that_of_the_pilot_alone(finished):
    fixed = planted_run(finished.prompts, budget={**BUDGET, "adaptive": False})
    fixed.run()
    for mine, theirs in zip(rounds_of(finished), rounds_of(fixed), strict=True):
        assert mine.pair is not None
        assert theirs.pair is not None
        assert np.array_equal(mine.pair.log_p, theirs.pair.log_p)
        assert np.array_equal(mine.pair.kl, theirs.pair.kl)
        assert theirs.further_rounds == ()


def test_successes_that_nobody_could_score_count_as_failures_and_are_not_asked_for_again():
    made = topped_up(fails=lambda number, shard: shard.work == "score" and number > 1)
    assert made.failures
    for prompt in rounds_of(made):
        if prompt.further_rounds:
            assert prompt.unread
            assert sum(part.unscored for part in prompt.further_rounds) == len(prompt.unread)
            assert sum(part.log_p.size for part in prompt.further_rounds) == 0
    assert [shard.work for shard in made.plan().shards] == ["finalise"]


def test_a_loss_is_pursued_without_a_score():
    """The candidate never succeeds, and the reference is shown to reach: its draws are no bet on that."""
    made = planted_run([planted("lost", 0.6, 1e-9)], budget=BUDGET)
    found = made.run()
    assert made.committed(with_samples=False).drawn["candidate"][0] > 16
    assert {shard["round"] for shard in made.inputs if shard["work"] == "score"} == {1}
    (prompt,) = rounds_of(made)
    assert prompt.further_rounds == ()
    assert found.rows[0]["regime"] == "lost"


def test_a_pilot_that_grew_into_draws_of_which_successes_were_scored_is_scored_as_a_whole(finished):
    """Until then it is no pair, and as a proposal its unscored successes count as failures."""
    spec = replace(finished.spec, budget=replace(finished.spec.budget, samples_per_prompt=24))
    committed = finished.committed(with_samples=False)
    assert all(one.pair is None for one in observe(spec, committed.outcomes, committed.scores))
    for one in proposal_rounds(committed.outcomes, committed.scores, "candidate", [24] * 3):
        assert one is not None
        assert (one.draws, one.successes_only, one.log_p.size) == (24, True, one.successes)


def test_a_spec_without_samples_beyond_the_pilot_plans_no_score():
    made = planted_run([planted("a", 0.02, 0.45)], budget={**BUDGET, "adaptive": False})
    made.run()
    assert made.rounds == 1


def test_each_checkpoint_has_its_own_successes_scored():
    made = planted_run([planted_checkpoints(f"p{i}", 0.02, (0.45, 0.9)) for i in range(3)], budget=BUDGET)
    made.run()
    committed = made.committed(with_samples=False)
    for stream in made.spec.checkpoints:
        mine = pc.field("stream") == stream
        reader = pc.field("scorer") == "reference"
        keys = [
            {(row["prompt_index"], row["index"]) for row in rows.filter(pc.field("index") >= 16).to_pylist()}
            for rows in (
                committed.scores.filter(mine & reader),
                committed.outcomes.filter(mine & (pc.field("outcome") == "correct")),
            )
        ]
        assert keys[0] == keys[1] != set()
