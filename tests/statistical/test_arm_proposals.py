"""Arms as proposals against exact laws: densities by enumeration, coverage and false `in` at the null."""

import math
from pathlib import Path

import numpy as np
import pytest
from exact_world import likely_answers
from local_run import LocalRun, request
from planted import PlantedPrompt, law_with, planted_run
from scipy import stats
from tiny_models import build_tiny_model

from workers.engines.enumeration import enumerate_completions
from workers.engines.loading import load_engine
from workers.engines.policy import Policy
from workers.estimators.counts import epsilon
from workers.pipelines.sample import render
from workers.verifiers.registry import build_verifier

VOCABULARY, PROMPTS, SAMPLES = "abcdef", 12, 48
POLICY = {"max_new_tokens": 2, "temperature": 0.8, "top_k": 5}
ARMS = [
    {"name": "hot", "role": "elicitation", "policy": {"temperature": 1.7, "top_k": 0}},
    {"name": "worded", "role": "elicitation", "template": "{metadata.word}{prompt}"},
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> LocalRun:
    folder: Path = tmp_path_factory.mktemp("proposals")
    base = build_tiny_model(folder / "base", "llama", 21, VOCABULARY)
    engine, rng = load_engine(base), np.random.default_rng(8)
    prompts = []
    for place in range(PROMPTS):
        word, before = ("".join(rng.choice(list(VOCABULARY), size)) for size in (4, 3))
        broad = Policy(max_new_tokens=2, temperature=1.7)
        answers = sorted({likely_answers([engine], word, broad, rng) for _ in range(4)} - {""})
        prompts.append({"id": f"{place}", "prompt": word, "answers": answers, "metadata": {"word": before}})
    budget = {"adaptive": False, "k_use": 1, "k_probe": 1, "samples_per_prompt": SAMPLES}
    body = request(
        prompts, candidate=False, policy=POLICY, budget=budget, arms=ARMS, share_proposals=True, seed=2
    )
    made = LocalRun(body, {"reference": base})
    made.run()
    return made


def law(run: LocalRun, prompt: int, stream: str) -> dict[tuple[int, ...], float]:
    """log p(y) of every completion under a stream's own policy and wording."""
    source, engine = run.spec.streams[stream], run.engines["reference"]
    ids = render(engine, run.spec.prompts[prompt], source.rendering)
    return {tuple(c.token_ids): c.log_prob for c in enumerate_completions(engine, ids, source.policy)}


def is_right(run: LocalRun, prompt: int, ids: tuple[int, ...]) -> bool:
    text = run.engines["reference"].text(list(ids))
    key = run.spec.prompts[prompt].key
    return build_verifier(run.spec.signal).judge(text, key, "eos").outcome == "correct"


def test_both_densities_are_the_enumerated_ones(run: LocalRun) -> None:
    committed = run.committed(with_samples=True)
    drawn = {
        (row["stream"], row["prompt_index"], row["index"]): tuple(row["token_ids"])
        for row in committed.samples.to_pylist()
    }
    rows = committed.scores.to_pylist()
    assert {row["stream"] for row in rows} == {"arm:hot", "arm:worded"}
    zeros = 0
    for row in rows:
        ids = drawn[row["stream"], row["prompt_index"], row["index"]]
        own = law(run, row["prompt_index"], "reference").get(ids, -math.inf)
        arm = law(run, row["prompt_index"], row["stream"])[ids]
        assert row["own_logprob"] == pytest.approx(arm, abs=1e-4)
        assert row["logprob"] == (own if math.isinf(own) else pytest.approx(own, abs=1e-4))
        assert bool(row["zero_cause"]) == math.isinf(own)
        zeros += math.isinf(own)
    assert len(rows) > 100
    assert zeros > 0  # what top-k removed of the own law is a success that proves nothing


def test_a_round_holds_every_draw_and_its_mean_weight_is_the_chance_of_success(run: LocalRun) -> None:
    committed = run.committed(with_samples=False)
    z = []
    for prompt, sources in enumerate(committed.beside):
        own = law(run, prompt, "reference")
        right = {ids for ids in own if is_right(run, prompt, ids)}
        for source, stream in zip(sources, ("arm:hot", "arm:worded"), strict=True):
            ((drawn,), arm) = source, law(run, prompt, stream)
            assert (drawn.draws, drawn.unscored) == (SAMPLES, 0)
            inside = [ids for ids in right if ids in arm and own[ids] > -math.inf]
            a = math.fsum(math.exp(own[ids]) for ids in inside)
            square = math.fsum(math.exp(2 * own[ids] - arm[ids]) for ids in inside)
            if square > a**2:
                mean = float(np.exp(drawn.success_log_weights).sum()) / SAMPLES
                z.append((mean - a) / math.sqrt((square - a**2) / SAMPLES))
    assert len(z) > PROMPTS
    assert abs(np.mean(z)) < 4 / math.sqrt(len(z))


HOT, SHOTS = ARMS[0], {"name": "shots", "role": "elicitation", "prefix": "a"}


def planted_rows(a: float, adaptive: bool, prompts: int, share: bool = True) -> list[dict]:
    """The reference alone; its own samples and what two arms drew, whose successes differ in kind."""
    p = law_with({"00": 0.7 * a, "11": 0.3 * a})
    arms = {
        "arm:hot": law_with({"00": 0.3, "11": 0.002}),
        "arm:shots": law_with({"00": 1e-4, "11": 0.6}),
    }
    made = [PlantedPrompt(f"p{i}", p, None, ("00", "11"), arms=arms) for i in range(prompts)]
    budget = {"k_use": 4, "k_probe": 64, "samples_per_prompt": 64, "max_samples_per_prompt": 256}
    run = planted_run(
        made, budget={**budget, "adaptive": adaptive}, arms=[HOT, SHOTS], share_proposals=share, seed=4
    )
    return run.run().rows


@pytest.mark.parametrize("adaptive", [True, False])
def test_false_in_at_the_null_is_rarer_than_alpha(adaptive: bool) -> None:
    a, prompts = epsilon(64, 0.5), 100
    rows = planted_rows(a, adaptive, prompts)
    wrong = sum(row["reference"]["class_at_k_probe"] == "in" for row in rows)
    missed = sum(row["reference"]["success"]["ci_low"] > a for row in rows)
    print(f"false in: {wrong} of {prompts}; lower ends above the truth: {missed}")
    assert stats.binomtest(wrong, prompts, 0.05, alternative="greater").pvalue > 0.001
    assert stats.binomtest(missed, prompts, 0.025, alternative="greater").pvalue > 0.001


def test_arms_show_what_counts_do_not() -> None:
    found = {}
    for share in (False, True):
        rows = planted_rows(4 * epsilon(64, 0.5), False, 40, share)
        found[share] = sum(row["reference"]["class_at_k_probe"] == "in" for row in rows)
    print(f"in of 40: {found[False]} by counts, {found[True]} with arms")
    assert found[True] >= 28 > 20 > found[False]
