"""Checkpoints as proposals for each other's reference, through the real pipelines."""

import numpy as np
import pytest
from planted import PlantedPrompt, law_with, planted_run

from workers.pipelines.checkpoints import checkpoint_view
from workers.pipelines.proposals import proposal_rounds

BUDGET = {"samples_per_prompt": 64, "max_samples_per_prompt": 64, "k_probe": 64}
ANSWERS = ("00", "11")
REFERENCE = law_with({"00": 0.03, "11": 1e-9})
EARLY, LATE = law_with({"00": 0.6, "11": 1e-9}), law_with({"00": 1e-9, "11": 0.9})


def run_of(**changes):
    """Eight prompts; the early checkpoint solves them as the reference does, the late one its own way."""
    prompts = [PlantedPrompt(f"p{i}", REFERENCE, None, ANSWERS, checkpoints=(EARLY, LATE)) for i in range(8)]
    return planted_run(prompts, budget=BUDGET, **changes)


def classes(rows, checkpoint):
    return [row["reference"]["class_at_k_probe"] for row in rows if row["checkpoint"] == checkpoint]


@pytest.fixture(scope="module")
def runs():
    made = {shared: run_of(share_proposals=shared) for shared in (False, True)}
    return made, {shared: run.run() for shared, run in made.items()}


def test_the_late_checkpoint_alone_cannot_show_what_the_early_one_does(runs):
    _, found = runs
    apart, shared = classes(found[False].rows, 1), classes(found[True].rows, 1)
    assert apart.count("in") < shared.count("in") == 8
    assert classes(found[True].rows, 0).count("in") == 8


def test_upper_ends_and_draws_are_the_same(runs):
    made, found = runs
    for mine, theirs in zip(found[True].rows, found[False].rows, strict=True):
        assert mine["reference"]["price"]["ci_low"] == theirs["reference"]["price"]["ci_low"]
        assert mine["reference"]["samples"] == theirs["reference"]["samples"]
        assert mine["reference"]["price"]["ci_high"] is not None
    scored = [made[shared].committed(with_samples=False).scores.num_rows for shared in (True, False)]
    assert scored[0] == scored[1]


def test_a_proposal_is_the_other_checkpoints_whole_pilot(runs):
    made, _ = runs
    run = made[True]
    committed = run.committed(with_samples=False)
    view = checkpoint_view(run.spec, run.participants, committed, "candidate:1")
    (((one,),), *_) = view.committed.beside
    assert (one.proposals, one.sizes) == (("candidate:0",), (64,))
    texts = run.draws(0, "candidate:0")[:64]
    right = (texts[:, 0] == texts[:, 1]) & (texts[:, 0] < 2)
    assert np.array_equal(one.is_correct, right)
    assert one.log_p[right] == pytest.approx(np.log([REFERENCE.joint[i, j] for i, j in texts[right]]))
    assert one.log_proposals[0, right] == pytest.approx(np.log([EARLY.joint[i, j] for i, j in texts[right]]))


def test_what_was_scored_after_the_pilot_is_no_part_of_it(runs):
    # How much came later depends on what was seen, so the round would have no fixed size.
    run = runs[0][True]
    committed = run.committed(with_samples=False)
    pilots = [40, *[64] * 7]
    first, second, *_ = proposal_rounds(committed.outcomes, committed.scores, "candidate:0", pilots)
    assert (first.sizes, second.sizes) == ((40,), (64,))
    whole, *_ = proposal_rounds(committed.outcomes, committed.scores, "candidate:0", [64] * 8)
    assert np.array_equal(first.log_p, whole.log_p[:40])
