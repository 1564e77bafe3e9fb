"""Where the next samples go."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import planted, planted_run

from workers.estimators.counts import epsilon, log_e_out
from workers.estimators.selection import e_bh, log_target
from workers.estimators.settle import samples_to_settle
from workers.numerics.ragged import Ragged
from workers.pipelines.observations import PromptObservations, ScoredPair, SideObservations
from workers.pipelines.topup import GROWTH, token_allowance, wanted_samples


def side(successes, n, pilot=64, errors=0):
    correct = np.arange(n) >= n - successes
    outcomes = {"correct": successes, "incorrect": n - successes, "unparsed": 0, "truncated": 0}
    size = min(n, pilot)
    counts = {**outcomes, "verifier_error": errors}
    none = np.zeros(size, dtype=bool)
    return SideObservations(correct, size, none, counts, correct.astype(float), (None,) * n)


def spec_of(prompts=1, candidate=0.5, **changes):
    made = [planted(f"p{i}", 0.5, candidate) for i in range(prompts)]
    return planted_run(made, **{"budget": {"max_samples_per_prompt": 4096}, **changes}).spec


def wanted(spec, *pairs):
    """More samples for prompts with these (successes, n) of each side."""
    seen = [
        PromptObservations(i, side(*p), None if q is None else side(*q), None)
        for i, (p, q) in enumerate(pairs)
    ]
    drawn = {"reference": [p[1] for p, _ in pairs]}
    if pairs[0][1] is not None:
        drawn["candidate"] = [q[1] for _, q in pairs]
    return wanted_samples(spec, seen, drawn)


def test_what_the_reference_reaches_gets_nothing_more():
    assert wanted(spec_of(), ((30, 64), (60, 64))) == {"reference": [0], "candidate": [0]}


def test_a_claim_of_creation_is_pursued_in_steps_of_three():
    assert wanted(spec_of(), ((0, 64), (60, 64))) == {"reference": [GROWTH * 64], "candidate": [0]}


def test_the_last_step_is_exactly_what_is_missing():
    need = samples_to_settle(0, 0, epsilon(256, 0.5), math.log(20), 2048)
    assert need == 1191
    assert wanted(spec_of(), ((0, 1000), (60, 64)))["reference"] == [191]
    assert wanted(spec_of(), ((0, 500), (60, 64)))["reference"] == [691]
    assert wanted(spec_of(), ((0, 1191), (60, 64)))["reference"] == [0]


def test_a_forecast_that_may_fall_short_adds_at_least_half():
    """Nine of 64 is close to the candidate's threshold: a few more would ask again and again."""
    more = wanted(spec_of(), ((0, 64), (9, 64)))["candidate"][0]
    assert more >= 32


def scored_prompt(a, b, n=64):
    """Pilots of a pure tilt: every success has the same p/q."""
    hits = round(b * n)
    ratio = math.log(a) - math.log(b)
    correct = np.concatenate([np.zeros(n, bool), np.arange(n) < hits])
    log_q = np.where(correct, -1.0, -2.0)
    log_p = log_q + np.where(correct, ratio, 0.1)
    none = np.zeros(n)
    pair = ScoredPair(
        log_p=log_p,
        log_q=log_q,
        correct=correct,
        rewards=correct.astype(float),
        behaviours=(None,) * 2 * n,
        n_p=n,
        kl=none,
        token_kl=Ragged.of([none] * n),
        reverse_kl=none,
        reverse_token_kl=Ragged.of([none] * n),
        entropy_p=none,
        entropy_q=none,
        zero_cause=("",) * n,
        max_token_diff=0.0,
    )
    return PromptObservations(0, side(0, n), side(hits, n), pair)


@pytest.mark.parametrize(("a", "scored"), [(0.006, True), (0.0035, True), (0.0032, False), (0.001, False)])
def test_reach_is_shown_by_scores_before_a_sample_of_the_reference_is_spent(a, scored):
    """At K_probe = 256 the threshold is 0.0027: of a = 0.001 scores never show reach.

    The claim lacks 1,127 samples. 631 draws of which three in ten are read cost less, 1,350 do not.
    """
    spec, prompt = spec_of(), scored_prompt(a, 0.3)
    more = wanted_samples(spec, [prompt], {"reference": [64], "candidate": [64]})
    assert (more["candidate"][0] > 0) is scored
    assert (more["reference"][0] > 0) is not scored


def test_where_scores_refuse_or_the_candidate_has_none_left_the_reference_is_sampled():
    spec, prompt = spec_of(), scored_prompt(0.006, 0.3)
    assert prompt.pair is not None
    wild = prompt.pair.log_p + np.where(prompt.pair.correct, np.arange(128) % 2 * 9.0 - 4.5, 0.0)
    for seen, drawn in (
        (replace(prompt, pair=replace(prompt.pair, log_p=wild)), 64),
        (prompt, 4096),
        (replace(prompt, pair=None), 64),
    ):
        more = wanted_samples(spec, [seen], {"reference": [64], "candidate": [drawn]})
        assert (more["reference"][0] > 0, more["candidate"][0]) == (True, 0)


def test_no_prompt_exceeds_its_allowance():
    assert wanted(spec_of(budget={"max_samples_per_prompt": 100}), ((0, 64), (60, 64)))["reference"] == [36]


def test_a_candidate_that_may_have_lost_a_skill_is_sampled():
    more = wanted(spec_of(), ((60, 64), (0, 64)))
    assert more["reference"] == [0]
    assert more["candidate"][0] > 0


def test_the_target_of_a_loss_is_that_of_e_bh():
    """One loss of 20 takes log(20/0.05) nats, ten of 20 take log(2/0.05)."""
    kept = ((30, 64), (40, 64))
    for losses in (1, 10):
        need = samples_to_settle(0, 0, epsilon(256, 0.5), log_target(20, losses, 0.05), 2048)
        for n, more in ((need - 600, 600), (need, 0)):
            pairs = [((30, 64), (0, n))] * losses + [kept] * (20 - losses)
            assert wanted(spec_of(20), *pairs)["candidate"] == [more] * losses + [0] * (20 - losses)


def test_a_loss_in_the_tail_is_pursued_until_the_candidate_succeeds_once():
    assert wanted(spec_of(), ((4, 64), (0, 64))) == {"reference": [0], "candidate": [192]}
    assert wanted(spec_of(), ((4, 64), (1, 256))) == {"reference": [0], "candidate": [0]}


def test_an_open_candidate_class_is_settled_where_creation_could_be_claimed():
    more = wanted(spec_of(), ((0, 64), (9, 64)))
    assert more["reference"] == [0]
    assert more["candidate"][0] > 0


def test_free_energy_takes_no_top_up():
    assert wanted(spec_of(kind="free_energy"), ((0, 64), (60, 64))) == {"reference": [0], "candidate": [0]}


def test_one_side_alone_is_settled_at_k_probe():
    spec = spec_of(candidate=None)
    assert wanted(spec, ((0, 64), None))["reference"] == [192]
    assert wanted(spec, ((30, 64), None))["reference"] == [0]
    assert wanted(spec, ((0, 1191), None))["reference"] == [0]


def test_the_target_of_many_claims_is_that_of_e_bh():
    """4 claims of 40: each needs log(40/(0.05 * 4)), not log 20."""
    spec = spec_of(40)
    target = log_target(40, 4, 0.05)
    need = samples_to_settle(0, 0, epsilon(256, 0.5), target, 2048)
    assert need is not None
    rest = [((30, 64), (60, 64))] * 36
    assert wanted(spec, *[((0, need - 1), (60, 64))] * 4, *rest)["reference"][:4] == [1] * 4
    assert not any(wanted(spec, *[((0, need), (60, 64))] * 4, *rest)["reference"])


def test_claims_that_cannot_be_settled_do_not_lower_the_target():
    """Five open claims have no samples left: the other five must reach the level of five, not of ten."""
    spec = spec_of(20)
    ten = samples_to_settle(0, 0, epsilon(256, 0.5), log_target(20, 10, 0.05), 2048)
    five = samples_to_settle(0, 0, epsilon(256, 0.5), log_target(20, 5, 0.05), 2048)
    assert ten is not None
    assert five is not None
    assert ten < five
    spent = [((9, 4096), (60, 64))] * 5
    reached = [((30, 64), (60, 64))] * 10
    for n, more in ((ten, five - ten), (five, 0)):
        found = wanted(spec, *[((0, n), (60, 64))] * 5, *spent, *reached)["reference"]
        assert found == [more] * 5 + [0] * 15


@given(
    st.lists(
        st.tuples(st.integers(0, 6), st.sampled_from([64, 256, 1024, 2000, 4096])), min_size=1, max_size=12
    )
)
@settings(deadline=None, max_examples=40)
def test_when_nothing_is_wanted_e_bh_keeps_every_claim_that_could_be_kept(sides):
    """The stopping rule and the selection agree: more failures would not add a claim."""
    spec = spec_of(len(sides))
    pairs = [(p, (60, 64)) for p in sides]
    if any(wanted(spec, *pairs)["reference"]):
        return
    threshold = epsilon(256, 0.5)
    now = np.array([log_e_out(c, n, threshold, 2048) for c, n in sides])
    best = np.array([log_e_out(c, 4096, threshold, 2048) for c, n in sides])
    open_claims = np.array([(c / n) < 0.02 for c, n in sides])
    assert (e_bh(now, 0.05) >= (e_bh(np.where(open_claims, best, now), 0.05) & (now >= math.log(20)))).all()


def test_a_prompt_without_its_pilot_gets_nothing():
    """It is left out in the end, whatever else is drawn for it."""
    spec = spec_of()
    short = PromptObservations(0, side(0, 40), side(60, 64), None)
    assert wanted_samples(spec, [short], {"reference": [64], "candidate": [64]}) == {
        "reference": [0],
        "candidate": [0],
    }
    excused = replace(short, reference=side(0, 40, errors=24))
    assert wanted_samples(spec, [excused], {"reference": [64], "candidate": [64]})["reference"] == [192]


@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=6),
    st.integers(1, 20_000),
    st.floats(1.0, 7.0),
)
def test_a_round_is_expected_to_stay_within_the_limit(lacks, limit, mean):
    reference, candidate = map(list, zip(*lacks, strict=True))
    spec = spec_of(budget={"max_total_tokens": limit}, policy={"max_new_tokens": 7})
    counts = {"reference": reference, "candidate": candidate}
    spent = round(mean * 128)
    allowed = token_allowance(spec, counts, {"reference": [64], "candidate": [64]}, spent)
    each = min(7, 1.25 * spent / 128)
    total = sum(map(sum, allowed.values())) * each
    assert total == 0 or spent + total <= limit
    assert all(0 <= a <= b for s in counts for a, b in zip(allowed[s], counts[s], strict=True))
    if spent + each * (sum(reference) + sum(candidate)) <= limit:
        assert allowed == counts


def test_a_token_budget_settles_the_prompts_that_lack_least():
    """At 3 tokens each, 1,800 samples' worth is left: three prompts get all they lack, a fourth the rest."""
    spec = spec_of(5, budget={"max_total_tokens": 10_000}, policy={"max_new_tokens": 3})
    lacks = {"reference": [900, 500, 2000, 0, 800], "candidate": [0, 0, 0, 300, 100]}
    allowed = token_allowance(spec, lacks, {"reference": [64] * 5, "candidate": [64] * 5}, 4_600)
    assert allowed == {"reference": [900, 500, 0, 0, 88], "candidate": [0, 0, 0, 300, 11]}


def test_short_answers_spend_a_token_budget_in_few_rounds():
    spec = spec_of(budget={"max_total_tokens": 10_000}, policy={"max_new_tokens": 256})
    drawn, spent, rounds = {"reference": [64]}, 192, 0
    while (more := token_allowance(spec, {"reference": [10_000]}, drawn, spent)["reference"][0]) > 0:
        drawn["reference"][0] += more
        spent += 3 * more  # three tokens each
        rounds += 1
    assert rounds <= 4
    assert 9_000 <= spent <= 10_000


def test_without_a_limit_a_round_is_not_cut():
    counts = {"reference": [10**9]}
    assert token_allowance(spec_of(), counts, {"reference": [64]}, 10**12) == counts
