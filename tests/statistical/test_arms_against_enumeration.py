"""Arms against exact enumeration: the reference's law under an arm that words every prompt in its own way."""

import math
from pathlib import Path

import numpy as np
import pytest
from exact_world import likely_answers
from local_run import LocalRun, request
from scipy import stats
from tiny_models import build_tiny_model

from workers.engines.enumeration import enumerate_completions
from workers.engines.loading import load_engine
from workers.engines.policy import Policy
from workers.estimators.counts import epsilon
from workers.pipelines.sample import render
from workers.verifiers.registry import build_verifier

VOCABULARY, PROMPTS = "abcdef", 24
POLICY = {"max_new_tokens": 2}
ARMS = [
    {"name": "hint", "role": "elicitation", "template": "{metadata.hint}{prompt}"},
    {"name": "hot", "role": "elicitation", "policy": {"temperature": 1.7}},
    {"name": "aid", "role": "assisted", "template": "{prompt}{metadata.aid}"},
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> LocalRun:
    folder: Path = tmp_path_factory.mktemp("arms")
    base = build_tiny_model(folder / "base", "llama", 11, VOCABULARY)
    tuned = build_tiny_model(folder / "tuned", "llama", 12, VOCABULARY, mixed_with=base)
    rng = np.random.default_rng(5)
    engines, letters = [load_engine(base), load_engine(tuned)], list(VOCABULARY)
    prompts = []
    for place in range(PROMPTS):
        word, hint, aid = ("".join(rng.choice(letters, size)) for size in (4, 3, 2))
        prompts.append(
            {
                "id": f"{place}",
                "prompt": word,
                "answer": likely_answers(engines, word, Policy(**POLICY), rng),
                "metadata": {"hint": hint, "aid": aid},
            }
        )
    budget = {"adaptive": False, "k_probe": 8, "samples_per_prompt": 48, "max_samples_per_prompt": 48}
    body = request(prompts, policy=POLICY, budget=budget, arms=ARMS, seed=6)
    return LocalRun(body, {"reference": base, "candidate": tuned})


@pytest.fixture(scope="module")
def rows(run: LocalRun) -> list[dict]:
    return run.run().rows


def exact(run: LocalRun, place: int, arm: str) -> float:
    """p(C) under the arm: its own policy, its own wording, every completion."""
    stream, prompt, engine = run.spec.streams[f"arm:{arm}"], run.spec.prompts[place], run.engines["reference"]
    verifier = build_verifier(run.spec.signal)
    return math.fsum(
        math.exp(c.log_prob)
        for c in enumerate_completions(engine, render(engine, prompt, stream.rendering), stream.policy)
        if verifier.judge(engine.text(c.token_ids), prompt.key, c.finish_reason).outcome == "correct"
    )


def test_arms_hold_the_enumerated_law_of_each_prompt(run: LocalRun, rows: list[dict]) -> None:
    z, held, moved = [], 0, []
    for place, row in enumerate(rows):
        by_name = {arm["arm"]: arm for arm in row["arms"]}
        assert list(by_name) == ["hot", "hint", "aid"]  # cheapest first, assisted arms last
        for name, arm in by_name.items():
            a = exact(run, place, name)
            assert arm["samples"] == 48
            held += arm["success"]["ci_low"] <= a <= arm["success"]["ci_high"]
            z.append((arm["successes"] - 48 * a) / math.sqrt(48 * a * (1 - a)))
            moved.append(abs(a - exact(run, (place + 1) % PROMPTS, name)))
            threshold = epsilon(8, 0.5)
            if arm["class_at_k_probe"] != "undetermined":
                assert (arm["class_at_k_probe"] == "in") == (a > threshold), (row["prompt_id"], name, a)
    total = 3 * PROMPTS
    print(f"{held} of {total} intervals hold; z: mean {np.mean(z):.2f}, sd {np.std(z):.2f}")
    assert stats.binomtest(held, total, 0.95, alternative="less").pvalue > 0.001
    assert abs(np.mean(z)) < 4 / math.sqrt(total)
    assert 0.75 < np.std(z) < 1.25
    assert np.median(moved) > 0.005  # each prompt has a law of its own under each arm


def test_the_deciding_arm_reaches_where_the_policy_does_not(run: LocalRun, rows: list[dict]) -> None:
    for place, row in enumerate(rows):
        name = row["deciding_arm"]
        if row["regime"] == "tail" and name is not None:
            assert exact(run, place, name) > epsilon(8, 0.5)
            assert row["reference"]["class_at_k_probe"] != "in"
