"""Variance of the Rao-Blackwellised KL against k1 on the shipped pairs, and which way each KL points."""

import json
from pathlib import Path

import numpy as np
import pytest
from local_run import LocalRun, request

from workers.pipelines.observations import observe

EXAMPLES = Path(__file__).parents[3] / "examples"
PAIRS = (("tiny-grpo", "basin_tail"), ("tiny-sft", "basin_tail"), ("tiny-new", "new_rule"))


def pairs_of(candidate, prompts, samples, count):
    lines = (EXAMPLES / "prompts" / f"{prompts}.jsonl").read_text().splitlines()[:count]
    budget = {"samples_per_prompt": samples, "max_samples_per_prompt": samples, "adaptive": False}
    spec = request([json.loads(line) for line in lines], kind="free_energy", budget=budget)
    models = EXAMPLES / "models"
    run = LocalRun(spec, {"reference": models / "tiny-base", "candidate": models / candidate})
    run.run()
    committed = run.committed(with_samples=False)
    return [p.pair for p in observe(run.spec, committed.outcomes, committed.scores)]


@pytest.mark.slow
@pytest.mark.parametrize(("candidate", "prompts"), PAIRS)
def test_rao_blackwell_has_less_variance_than_k1(candidate, prompts, capsys):
    """KL(q‖p): median variance ratio k1/RB at least 3, and not below 1 over the prompts of a pair together.

    A single prompt may lie below 1: see `test_k1_can_beat_rao_blackwell` of the estimator.
    """
    variances = {"forward": [], "reverse": []}
    ratios = {"forward": [], "reverse": []}
    for pair in pairs_of(candidate, prompts, 512, 20):
        for name, rb, k1 in (
            ("forward", pair.kl, pair.candidate_log_ratio),
            ("reverse", pair.reverse_kl, pair.reference_log_ratio),
        ):
            assert np.isfinite(rb).all()
            assert np.isfinite(k1).all()
            ratios[name].append(float(np.var(k1, ddof=1) / np.var(rb, ddof=1)))
            variances[name].append((np.var(k1, ddof=1), np.var(rb, ddof=1)))
    with capsys.disabled():
        for name, found in ratios.items():
            print(
                f"\n{candidate} {name}: variance of k1 over RB, median {np.median(found):.1f}, "
                f"least {min(found):.2f}, greatest {max(found):.1f}"
            )
    assert np.median(ratios["forward"]) >= 3
    k1, rb = np.sum(variances["forward"], axis=0)
    assert k1 >= rb


def test_flipping_a_kl_turns_this_red():
    """On a shipped pair the two directions differ by more than sampling, and each is nearest its own k1."""
    for pair in pairs_of("tiny-grpo", "basin_tail", 256, 2):
        forward, reverse = pair.kl.mean(), pair.reverse_kl.mean()
        assert abs(forward - reverse) > 0.2
        k1, back = pair.candidate_log_ratio.mean(), pair.reference_log_ratio.mean()
        assert abs(forward - k1) < abs(reverse - k1)
        assert abs(reverse - back) < abs(forward - back)
