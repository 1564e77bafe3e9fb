import pytest
from planted import planted, planted_run

from workers.pipelines.committed import assert_complete, complete_prompts
from workers.pipelines.plan import plan_pilot
from workers.pipelines.shards import sampling_round
from workers.pipelines.tables import PlanMismatchError

BUDGET = {"samples_per_prompt": 4, "max_samples_per_prompt": 64, "k_probe": 8}


def pilot(prompts=3, **run):
    return planted_run([planted(f"p{i}", 0.3, 0.6) for i in range(prompts)], run=run, budget=BUDGET)


def round_one(run):
    lengths = {stream: [1] * len(run.prompts) for stream in run.spec.streams}
    run.run_round(plan_pilot(run.spec, run.participants, lengths, shard_tokens=run.shard_tokens).shards)
    return run


def test_a_whole_pilot_is_complete():
    run = round_one(pilot())
    committed = run.committed(with_samples=False)
    assert committed.samples.num_rows == 0
    assert committed.drawn == {"reference": [4, 4, 4], "candidate": [4, 4, 4]}
    assert complete_prompts(run.spec, committed) == [0, 1, 2]
    assert_complete(run.spec, committed)


@pytest.mark.parametrize("work", ["sample", "verify", "score"])
def test_a_prompt_that_lacks_a_part_is_not_complete(work):
    """Shards of 32 new tokens hold one prompt each (4 samples of 8)."""
    run = round_one(
        pilot(
            shard_tokens=32,
            fails=lambda _, s: s.work == work and s.stream == "candidate" and s.items[0][0] == 1,
        )
    )
    committed = run.committed(with_samples=True)
    assert complete_prompts(run.spec, committed) == [0, 2]
    assert committed.drawn["candidate"] == [4, 4, 4]
    with pytest.raises(PlanMismatchError):
        assert_complete(run.spec, committed)


def test_without_any_score_prompts_are_complete_by_their_outcomes():
    run = round_one(pilot(tokenizers=("one", "other")))
    committed = run.committed(with_samples=False)
    assert committed.scores.num_rows == 0
    assert complete_prompts(run.spec, committed) == [0, 1, 2]


def test_top_ups_do_not_make_up_for_a_missing_pilot_sample():
    run = round_one(pilot(shard_tokens=8, fails=lambda _, s: s.work == "verify" and s.items == ((0, 2, 3),)))
    more = {"reference": [(0, 4, 9)]}
    run.run_round(
        sampling_round(more, scored_by={}, model_keys={"reference": "w"}, max_rows={"reference": 99})
    )
    committed = run.committed(with_samples=False)
    assert committed.drawn["reference"] == [9, 4, 4]
    assert complete_prompts(run.spec, committed) == [1, 2]


def test_a_sample_committed_twice_is_refused():
    run = round_one(pilot())
    run.inputs.append(next(shard for shard in run.inputs if shard["work"] == "verify"))
    with pytest.raises(PlanMismatchError, match="planned twice"):
        run.committed(with_samples=False)


def test_an_artefact_that_lacks_rows_of_its_plan_is_refused():
    run = round_one(pilot())
    run.inputs[0] = {**run.inputs[0], "items": [[0, 0, 5]]}
    with pytest.raises(PlanMismatchError, match="sample of"):
        run.committed(with_samples=True)
