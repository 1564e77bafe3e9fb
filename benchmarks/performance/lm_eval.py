"""Wall time of the same samples, and tokens at the same error, against lm-evaluation-harness."""

import contextlib
import io
import json
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.performance.benchmark import Benchmark
from benchmarks.performance.outcome import Outcome
from benchmarks.performance.planted import brute_draws
from benchmarks.performance.service import EXAMPLES, Service, comparison, running
from benchmarks.performance.session import Session, figure
from tiltscope.requests import read_prompts

REPEATS = 64
NEW_TOKENS = 8
BATCHES = (64, 256, 1408)
"""Batch sizes the harness is tried with; the fastest is used."""
FEW = 8
"""Repeats of both sides where the harness keeps its own batch size, which is 1."""


def run(session: Session) -> Outcome:
    """Measure."""
    prompts = read_prompts(EXAMPLES / "prompts" / "basin_tail.jsonl")
    prices = json.loads((EXAMPLES / "prices.json").read_text("utf-8"))["tiny-base"]
    truth = float(np.mean([prices["basin_tail"][prompt["id"]] for prompt in prompts]))
    error = math.sqrt(truth * (1 - truth) / (REPEATS * len(prompts)))
    with running(session.scratch / "service") as service:
        seeds = iter(range(1, 1000))

        def analysed(repeats: int) -> float:
            found = service.result(service.analyse(_request(next(seeds), repeats), look=0.02))
            return float(found["support"]["reference"]["success"]["value"])

        harness = _tuned(session, prompts)
        for name, rate in (("ours", analysed(REPEATS)), ("the harness", harness())):
            session.check(
                f"success by {name}", abs(rate - truth) < 4 * error, f"{rate:.3f}, exactly {truth:.3f}"
            )

        def counted(repeats: int, work: Callable[[], float]) -> Callable[[], float]:
            def samples() -> float:
                work()
                return float(repeats * len(prompts))

            return samples

        timed = session.compare(
            "samples a second",
            counted(REPEATS, lambda: analysed(REPEATS)),
            counted(REPEATS, harness),
            blocks=5,
        )
        default = session.compare(
            "samples a second, batches of 1",
            counted(FEW, lambda: analysed(FEW)),
            counted(FEW, _harness(prompts, 1, FEW)),
            blocks=3,
            patience=1,
        )
        tail = _tail(session, service, prices["basin_tail"])
        unseen = _price_errors(service, "tiny-new", "new_rule", prices["new_rule"])
    deep = _deep_tail(session)
    return Outcome(
        figures=(
            figure(
                "pass@64 of 22 prompts, wall",
                timed.ratios,
                "blocks",
                at_least=12,
                limit="what decoding gains over `generate` in batches, 4 x for a tiny model (see decode)",
                holds_back=(
                    "with all repeats in one batch the harness decodes as HF does, and a job of a second is "
                    "not long enough to spread claims, commits, estimates and a report over"
                ),
                from_clocks=True,
            ),
            figure(
                f"pass@{FEW} of 22 prompts, wall, the harness at its own batch size of 1",
                default.ratios,
                "blocks",
                from_clocks=True,
            ),
            figure("our samples a second", timed.ours, "blocks", unit="1/s", from_clocks=True),
            figure("their samples a second", timed.theirs, "blocks", unit="1/s", from_clocks=True),
            figure(
                "tail prompts at equal error, tokens",
                deep,
                "prompts",
                at_least=1000,
                limit="grows as 1/a: see tail_probability",
                holds_back="four tokens a draw of the pilot, and the log-spread of p/q among its successes",
            ),
            figure("the same on the shipped pair, whose tail has a = 0.024", tail, "prompts"),
            figure(
                "tiny-new: decades by which a price from scores lies above the exact one",
                list(unseen.values()),
                "prompts",
                unit="decades",
                holds_back=(
                    "tiny-new writes the answer alone, while nearly all of the reference's chance of it goes "
                    "through hidden tokens that tiny-new never draws: scores bound a from below, and no more"
                ),
            ),
        ),
        notes=(
            "Wall: tiny-base, 22 prompts, 64 samples each, at most 8 tokens, T = 1 untruncated. Ours is a "
            "`support` analysis through the whole service, from the request to the result with intervals, "
            "nulls and report; theirs is `evaluate` with the model loaded, its cache off and the fastest of "
            f"three batch sizes. At its own batch size, which is 1, both draw {FEW} samples a "
            f"prompt: {REPEATS} would take minutes.",
            "Equal error: prices from 64 samples a side, scored, on the prompts that tiny-sft learnt, beside "
            "the exact ones; the harness's draws of the reference to the same error are computed. The "
            "reference is tiny-base after `examples/train/unlearn.py`, which leaves it the skill at about "
            "1e-5 a sample, and, for the second figure, tiny-base itself. What is left of the skill is in "
            "the candidate's own way of writing; of another way scores say nothing (third figure).",
        ),
    )


def _request(seed: int, repeats: int) -> dict[str, Any]:
    budget = {"samples_per_prompt": repeats, "max_samples_per_prompt": repeats, "adaptive": False}
    asked = comparison("tiny-sft", "basin_tail", kind="support", budget=budget, seed=seed)
    del asked["candidate"]
    return {**asked, "policy": {"max_new_tokens": NEW_TOKENS}}


def _tuned(session: Session, prompts: list[dict[str, Any]]) -> Callable[[], float]:
    """The harness with its fastest batch size."""
    made = {batch: _harness(prompts, batch, REPEATS) for batch in BATCHES[-1 if session.quick else 0 :]}
    seconds = {}
    for batch, evaluate in made.items():
        evaluate()
        start = time.perf_counter()
        evaluate()
        seconds[batch] = time.perf_counter() - start
    best = min(seconds, key=lambda batch: seconds[batch])
    session.report(f"lm-evaluation-harness is fastest with a batch size of {best}")
    return made[best]


def _harness(prompts: list[dict[str, Any]], batch: int, repeats: int) -> Callable[[], float]:
    """A call that draws every sample once more and returns the share of right ones."""
    os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"
    import datasets
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.evaluator import evaluate
    from lm_eval.models.huggingface import HFLM

    rows = [{"prompt": prompt["prompt"], "answer": prompt["answer"]} for prompt in prompts]
    task = ConfigurableTask(
        config={
            "task": "sums",
            "custom_dataset": lambda **_: {"test": datasets.Dataset.from_list(rows)},
            "test_split": "test",
            "doc_to_text": "{{prompt}}",
            "doc_to_target": "{{answer}}",
            "output_type": "generate_until",
            "repeats": repeats,
            "generation_kwargs": {
                "do_sample": True,
                "temperature": 1.0,
                "top_k": 0,
                "top_p": 1.0,
                "max_gen_toks": NEW_TOKENS,
                "until": ["<eos>"],
            },
            "filter_list": [{"name": "all", "filter": [{"function": "take_first_k", "k": repeats}]}],
            "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
        }
    )
    model = HFLM(
        pretrained=str(EXAMPLES / "models" / "tiny-base"), batch_size=batch, device="cpu", dtype="float32"
    )

    def call() -> float:
        quiet = io.StringIO()
        with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
            found = evaluate(lm=model, task_dict={"sums": task}, log_samples=True, bootstrap_iters=0)
        right = [
            reply.strip() == sample["target"]
            for sample in found["samples"]["sums"]
            for reply in sample["resps"][0]
        ]
        return float(np.mean(right))

    return call


def _tail(
    session: Session, service: Service, exact: dict[str, float], reference: str = "tiny-base"
) -> list[float]:
    """Tokens of plain draws over ours on the tail prompts, at the error that ours turned out to have."""
    errors = _price_errors(service, "tiny-sft", "basin_tail", exact, reference)
    tail = [name for name in errors if name.startswith("tail")]
    rmse = math.sqrt(float(np.mean([errors[name] ** 2 for name in tail])))
    depth = float(np.median([exact[name] for name in tail]))
    found = f"RMSE of log10 a over {len(tail)} prompts: {rmse:.3f}; median a {depth:.2g}"
    session.check(f"prices of the tail under {reference}", rmse < 0.3, found)
    return [brute_draws(exact[name], rmse) / (4 * REPEATS) for name in tail]


def _deep_tail(session: Session) -> list[float]:
    """As `_tail`, under a reference that was taught hardly ever to compute, and still can."""
    models = session.scratch / "models"
    session.report("teaching a copy of tiny-base hardly ever to compute")
    script = EXAMPLES / "train" / "unlearn.py"
    subprocess.run(
        [sys.executable, str(script), "--out", str(models / "tiny-quiet")], check=True, capture_output=True
    )
    shutil.copytree(EXAMPLES / "models" / "tiny-sft", models / "tiny-sft")
    exact = json.loads((models / "prices.json").read_text("utf-8"))
    with running(session.scratch / "deep", models=models) as service:
        return _tail(session, service, exact, "tiny-quiet")


def _price_errors(
    service: Service, candidate: str, prompts: str, exact: dict[str, float], reference: str = "tiny-base"
) -> dict[str, float]:
    """By how many decades the price of each prompt lies above the exact one; a fixed pilot, scored."""
    budget = {"samples_per_prompt": REPEATS, "max_samples_per_prompt": REPEATS, "adaptive": False}
    sides = {"reference": {"source": "model", "model": reference}, "budget": budget}
    rows = service.rows(service.analyse(comparison(candidate, prompts, **sides)))
    return {
        row["prompt_id"]: row["reference"]["price"]["value"] / math.log(10)
        + math.log10(exact[row["prompt_id"]])
        for row in rows
    }


BENCHMARK = Benchmark(
    title="The same samples, and the same error, end to end",
    against="lm-evaluation-harness on the same model, prompts and number of samples, in the same process",
    run=run,
)
