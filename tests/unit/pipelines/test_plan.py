import pytest
from planted import participant, planted, planted_run

from workers.errors import AnalysisFault
from workers.pipelines.observations import observe
from workers.pipelines.plan import comparison_notices, plan_next, plan_pilot, rows_per_shard

BUDGET = {"samples_per_prompt": 4, "max_samples_per_prompt": 256, "k_probe": 32}


def run_of(*prompts, run=None, **changes):
    made = prompts or (planted("a", 0.5, 0.5), planted("b", 0.5, 0.5))
    return planted_run(made, run=run, **{"budget": BUDGET, **changes})


def pilot(run, lengths=None, shard_tokens=4096):
    return plan_pilot(
        run.spec,
        run.participants,
        lengths or {s: [1, 1] for s in run.spec.streams},
        shard_tokens=shard_tokens,
    )


def rows_of(plan, work, stream):
    return sorted(
        (prompt, index)
        for shard in plan.shards
        if (shard.work, shard.stream) == (work, stream)
        for prompt, low, high in shard.items
        for index in range(low, high)
    )


@pytest.mark.parametrize("shard_tokens", [1, 24, 4096])
def test_the_pilot_draws_judges_and_scores_every_sample_once(shard_tokens):
    plan = pilot(run_of(), shard_tokens=shard_tokens)
    everything = [(prompt, index) for prompt in range(2) for index in range(4)]
    for stream in ("reference", "candidate"):
        for work in ("sample", "verify", "score"):
            assert rows_of(plan, work, stream) == everything
    assert {s.scorer for s in plan.shards if s.work == "score" and s.stream == "candidate"} == {"reference"}
    assert plan.notices == ()


def test_other_tokenizers_are_not_scored_and_said_so():
    plan = pilot(run_of(run={"tokenizers": ("one", "other")}))
    assert "score" not in {shard.work for shard in plan.shards}
    assert [notice.code for notice in plan.notices] == ["tokenizers_differ"]


def test_one_side_alone_is_not_scored():
    plan = pilot(run_of(planted("a", 0.5, None), planted("b", 0.5, None)))
    assert {(shard.work, shard.stream) for shard in plan.shards} == {
        ("sample", "reference"),
        ("verify", "reference"),
    }


def test_one_model_on_both_sides_is_said_so():
    same = {s: participant(s, model="m") for s in ("reference", "candidate")}
    assert [notice.code for notice in comparison_notices(same)] == ["identical_models"]


def test_a_prompt_that_does_not_fit_ends_the_analysis_and_is_pointed_at():
    run = run_of()  # contexts of 64 tokens, max_new_tokens 8
    pilot(run, {"reference": [56, 56], "candidate": [1, 1]})
    with pytest.raises(AnalysisFault, match="'b' has 57 tokens") as fault:
        pilot(run, {"reference": [1, 1], "candidate": [56, 57]})
    assert fault.value.pointer == "/prompts/inline/1"


def test_a_shard_holds_at_least_one_sample():
    spec = run_of().spec
    assert [rows_per_shard(spec, tokens) for tokens in (1, 8, 17)] == [1, 1, 2]


def after_the_pilot(run, **changes):
    run.run_round(pilot(run).shards)
    committed = run.committed(with_samples=False)
    return plan_next(
        run.spec,
        run.participants,
        observe(run.spec, committed.outcomes, committed.scores),
        committed.drawn,
        **{"sampled_tokens": run.tokens, "shard_tokens": 4096, **changes},
    )


def test_top_ups_continue_where_the_samples_end_and_are_not_scored():
    plan = after_the_pilot(run_of(planted("a", 1e-9, 1.0), planted("b", 0.9, 1.0)))
    assert plan.phase == "sampling"
    assert rows_of(plan, "sample", "reference") == [(0, index) for index in range(4, 16)]
    assert rows_of(plan, "verify", "reference") == rows_of(plan, "sample", "reference")
    assert {shard.work for shard in plan.shards} == {"sample", "verify"}


def test_settled_prompts_end_the_analysis():
    plan = after_the_pilot(run_of(planted("a", 1.0, 1.0), planted("b", 1.0, 1.0)))
    assert [shard.work for shard in plan.shards] == ["finalise"]
    assert plan.phase == "estimating"


def test_a_fixed_plan_takes_no_top_up():
    run = run_of(planted("a", 1e-9, 1.0), planted("b", 0.9, 1.0), budget={**BUDGET, "adaptive": False})
    assert [shard.work for shard in after_the_pilot(run).shards] == ["finalise"]


def test_a_spent_token_limit_ends_the_analysis():
    def run():
        prompts = planted("a", 1e-9, 1.0), planted("b", 0.9, 1.0)
        return run_of(*prompts, budget={**BUDGET, "max_total_tokens": 100})

    assert [s.work for s in after_the_pilot(run(), sampled_tokens=100).shards] == ["finalise"]
    some = after_the_pilot(run(), sampled_tokens=60)
    assert 0 < len(rows_of(some, "sample", "reference")) <= 8
