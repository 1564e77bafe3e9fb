"""What elicitation arms drew, scored under the reference's own policy, through the real pipelines."""

import math
from dataclasses import replace

import numpy as np
import pytest
from planted import PlantedPrompt, law_with, planted_run

HOT = {"name": "hot", "role": "elicitation", "policy": {"temperature": 1.5}}
SHOTS = {"name": "shots", "role": "elicitation", "prefix": "1+1=2 "}
HINT = {"name": "hint", "role": "assisted", "prefix": "Think. "}
SHORT = {"name": "short", "role": "elicitation", "policy": {"max_new_tokens": 4}}
BUDGET = {"k_use": 4, "k_probe": 64, "samples_per_prompt": 32, "max_samples_per_prompt": 256}
ANSWERS = ("00", "11")
A = 0.03
"""Above epsilon(64, 0.5) = 0.0108; a pilot of 32 often shows none of it."""

P, Q = law_with({"00": A, "11": 1e-9}), law_with({"00": 1e-9, "11": 0.9})
ARM = law_with({"00": 0.97, "11": 1e-9})


def prompt(name, **arms):
    return PlantedPrompt(name, P, Q, ANSWERS, arms={f"arm:{arm}": law for arm, law in arms.items()})


def run_of(prompts, *, share=True, arms=(HOT,), run=None, **changes):
    changes = {"budget": BUDGET, "arms": list(arms), "share_proposals": share, **changes}
    made = planted_run(prompts, run=run, **changes)
    return made, made.run()


def classes(found):
    return [row["reference"]["class_at_k_probe"] for row in found.rows]


@pytest.fixture(scope="module")
def runs():
    prompts = [prompt(f"p{i}", hot=ARM) for i in range(12)]
    return {share: run_of(prompts, share=share) for share in (False, True)}


def test_an_arm_proves_a_reach_that_neither_counts_nor_the_candidate_show(runs):
    shared, apart = (classes(runs[share][1]) for share in (True, False))
    assert shared.count("in") > apart.count("in") + 3
    assert "out" not in shared + apart


def test_no_upper_end_falls_and_nothing_more_is_drawn(runs):
    for mine, theirs in zip(runs[True][1].rows, runs[False][1].rows, strict=True):
        assert mine["regime"] == theirs["regime"]
        if mine["reference"]["samples"] == theirs["reference"]["samples"]:
            assert mine["reference"]["price"]["ci_low"] == theirs["reference"]["price"]["ci_low"]
    drawn = [made.committed(with_samples=False).drawn for made, _ in (runs[True], runs[False])]
    assert sum(map(sum, drawn[0].values())) <= sum(map(sum, drawn[1].values()))


def test_only_successes_are_scored_and_only_where_reach_is_open(runs):
    made = runs[True][0]
    scores = made.committed(with_samples=False).scores.to_pylist()
    scored = {(r["prompt_index"], r["index"]) for r in scores if r["stream"] == "arm:hot"}
    outcomes = made.committed(with_samples=False).outcomes.to_pylist()
    arms = [r for r in outcomes if r["stream"] == "arm:hot"]
    assert scored == {(r["prompt_index"], r["index"]) for r in arms if r["outcome"] == "correct"}
    assert 0 < len(scored) < len(arms)
    apart = runs[False][0].committed(with_samples=False).scores
    assert set(apart["stream"].to_pylist()) == {"reference", "candidate"}


def test_a_weight_is_the_chance_under_the_own_policy_over_that_under_the_arm(runs):
    beside = [source for (source,) in runs[True][0].committed(with_samples=False).beside if source]
    assert len(beside) > 3
    for (drawn,) in beside:
        assert (drawn.sizes, drawn.unscored) == ((32,), 0)
        assert np.exp(drawn.success_log_weights) == pytest.approx(A / 0.97)


def test_the_interval_holds_the_truth(runs):
    for row in runs[True][1].rows:
        price = row["reference"]["price"]
        assert price["ci_low"] <= -math.log(A) <= price["ci_high"]
        if "arms" in row:
            assert price["ci_high"] < -math.log(A / 2)


def test_arms_are_sources_drawn_or_not_and_assisted_or_shorter_ones_are_none():
    spec = planted_run([prompt("a")], arms=[HOT, SHOTS, HINT, SHORT], share_proposals=True).spec
    assert [arm.arm for arm in spec.proposing] == ["hot", "shots"]
    assert replace(spec, share_proposals=False).proposing == ()
    made, _ = run_of([prompt(f"p{i}", hot=ARM) for i in range(12)], arms=[HOT, SHOTS])
    counts = {tuple(map(len, sources)) for sources in made.committed(with_samples=False).beside}
    assert counts == {(0, 0), (1, 0)}


def test_rounds_are_what_was_drawn_at_once():
    # A rare arm is drawn in several rounds, each of which is one of the source's; no sample is lost.
    rare = law_with({"00": 0.02, "11": 1e-9})
    laws = PlantedPrompt("r", law_with({"00": 0.012, "11": 1e-9}), Q, ANSWERS, arms={"arm:hot": rare})
    made, _ = run_of([laws], budget={**BUDGET, "max_samples_per_prompt": 512})
    committed = made.committed(with_samples=False)
    ((source,),) = committed.beside
    assert len(source) > 1
    assert sum(one.draws for one in source) == committed.drawn["arm:hot"][0]
    sampled = [s for s in made.inputs if (s["work"], s["stream"]) == ("sample", "arm:hot")]
    assert [one.draws for one in source] == [s["planned_rows"] for s in sampled]


def test_a_success_that_nobody_scored_counts_as_a_failure():
    fails = {"fails": lambda _, shard: shard.work == "score" and shard.stream == "arm:hot"}
    made, found = run_of([prompt("p", hot=ARM)], run=fails)
    (((one,),),) = made.committed(with_samples=False).beside
    assert (one.log_p.size, one.sizes) == (0, (32,))
    assert one.unscored > 25
    assert classes(found) != ["in"]
    # What was given up is not asked for again.
    assert [shard.work for shard in made.plan().shards] == ["finalise"]


def test_a_checkpoint_gains_from_arms_as_a_candidate_does():
    prompts = [
        PlantedPrompt(f"p{i}", P, None, ANSWERS, checkpoints=(Q,), arms={"arm:hot": ARM}) for i in range(12)
    ]
    found = {share: run_of(prompts, share=share)[1] for share in (False, True)}
    assert classes(found[True]).count("in") > classes(found[False]).count("in") + 3


def test_support_alone_gains_too():
    prompts = [PlantedPrompt(f"p{i}", P, None, ANSWERS, arms={"arm:hot": ARM}) for i in range(12)]
    found = {share: run_of(prompts, share=share)[1] for share in (False, True)}
    assert classes(found[True]).count("in") > classes(found[False]).count("in") + 3


def test_a_fixed_plan_scores_after_its_draws():
    budget = {**BUDGET, "adaptive": False}
    made, found = run_of([prompt(f"p{i}", hot=ARM) for i in range(12)], budget=budget)
    assert made.rounds == 2
    assert classes(found).count("in") == 12
