"""Every row and data-set quantity against exact enumeration, on pairs seeded from the commit."""

import hashlib
import math
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import pytest
from exact_world import ExactPrompt, exact_prompts, likely_answers
from local_run import LocalRun, request
from scipy import stats
from tiny_models import build_tiny_model

from workers.engines.loading import load_engine
from workers.engines.policy import Policy
from workers.estimators.counts import clopper_pearson
from workers.pipelines.finalise import Findings

PROMPTS_PER_PAIR = 20
VOCABULARY = "abcdef"
POLICY = {"max_new_tokens": 3}
TRUNCATING = {"max_new_tokens": 3, "top_p": 0.97}
PAIRS = (("llama", POLICY), ("llama", TRUNCATING), ("gpt2", POLICY))


def commit_seed() -> int:
    root = Path(__file__).resolve().parents[2]
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=False)
    text = head.stdout.strip() or "no commit"
    print(f"seeds from {text}")
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])


def build_pair(folder: Path, kind: str, seed: int) -> tuple[Path, Path]:
    """Two models that differ in all weights by a little, so that supports overlap but laws differ."""
    base = build_tiny_model(folder / "base", kind, seed, VOCABULARY)
    tuned = build_tiny_model(folder / "tuned", kind, seed + 1, VOCABULARY, mixed_with=base)
    return base, tuned


def truths(exact: ExactPrompt, row: dict) -> dict[str, float]:
    out = row["reference"]["class_at_k_probe"] == "out"
    found = {
        "reference.success": exact.a,
        "candidate.success": exact.b,
        "reference.price": -math.log(exact.a) if exact.a else math.inf,
        "candidate.price": -math.log(exact.b) if exact.b else math.inf,
        "gain": exact.gain,
        "tilt": exact.tilt(out),
    }
    if math.isfinite(exact.kl):
        found |= {"kl": exact.kl, "escape": exact.escape(out), "drift": exact.drift(out)}
    for position, beta in enumerate((0.5, 1.0, 2.0)):
        found[f"log_partition.{position}"] = exact.log_partition(beta)
        if math.isfinite(exact.kl):
            found[f"gap.{position}"] = exact.gap(beta)
    return found


def estimate_of(row: dict, name: str) -> dict:
    if name.startswith("log_partition."):
        return row["log_partition"][int(name[-1])]["log_partition"]
    if name.startswith("gap."):
        return row["log_partition"][int(name[-1])]["gap"]
    for part in name.split("."):
        row = row[part]
    return row


def holds(estimate: dict, truth: float) -> bool:
    low = -math.inf if estimate["ci_low"] is None else estimate["ci_low"]
    high = math.inf if estimate["ci_high"] is None else estimate["ci_high"]
    return low - 1e-9 <= truth <= high + 1e-9


@dataclass(frozen=True)
class Study:
    """What a run of one pair found, and the laws."""

    findings: Findings
    exact: list[ExactPrompt]
    samples: list[dict]


def studies_of(folder: Path, kind: str, policy: dict, seed: int) -> Iterator[Study]:
    """Runs of one pair by an adaptive and by a fixed plan; its laws are enumerated once."""
    base, tuned = build_pair(folder, kind, seed)
    rng = np.random.default_rng(seed)
    engines = [load_engine(base), load_engine(tuned)]
    words = ["".join(rng.choice(list(VOCABULARY), 4)) for _ in range(PROMPTS_PER_PAIR)]
    answers = [likely_answers(engines, word, Policy(**policy), rng) for word in words]
    prompts = [
        {"id": f"{i}", "prompt": word, "answer": answer}
        for i, (word, answer) in enumerate(zip(words, answers, strict=True))
    ]
    exact: list[ExactPrompt] = []
    for adaptive in (True, False):
        budget = {"adaptive": adaptive, "k_probe": 64, "max_samples_per_prompt": 1024}
        body = request(prompts, policy=policy, budget=budget, seed=seed % 2**31)
        run = LocalRun(body, {"reference": base, "candidate": tuned})
        findings = run.run()
        exact = exact or exact_prompts(run.spec, engines[0], engines[1])
        drawn = run.committed(with_samples=True).samples.drop_columns(["logprobs"])
        yield Study(findings, exact, drawn.to_pylist())


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> list[Study]:
    seed = commit_seed()
    return [
        study
        for i, (kind, policy) in enumerate(PAIRS)
        for study in studies_of(tmp_path_factory.mktemp(f"{kind}{i}"), kind, policy, seed + 10 * i)
    ]


def test_intervals_cover_and_are_not_too_wide(studies: list[Study]) -> None:
    covered: dict[str, list[tuple[int, bool]]] = defaultdict(list)
    widths = []
    for number, study in enumerate(studies):
        for position, (exact, row) in enumerate(zip(study.exact, study.findings.rows, strict=True)):
            cluster = number * PROMPTS_PER_PAIR + position
            for name, truth in truths(exact, row).items():
                estimate = estimate_of(row, name)
                if estimate["status"] == "undefined" or not math.isfinite(truth):
                    continue
                covered[name].append((cluster, holds(estimate, truth)))
            for side in ("reference", "candidate"):
                success, n = row[side]["success"], row[side]["samples"]
                c = row[side]["successes"]
                low, high = clopper_pearson(c, n, 0.95)
                widths.append((success["ci_high"] - success["ci_low"]) / (high - low))
    intervals = sum(map(len, covered.values()))
    assert intervals >= 200
    for name, seen in sorted(covered.items()):
        hits, total = sum(ok for _, ok in seen), len(seen)
        print(f"{name}: {hits}/{total}")
        assert stats.binomtest(hits, total, 0.95, alternative="less").pvalue > 0.001, name
    by_prompt: dict[int, list[bool]] = defaultdict(list)
    for seen in covered.values():
        for cluster, ok in seen:
            by_prompt[cluster].append(ok)
    means = np.array([np.mean(oks) for oks in by_prompt.values()])
    # Clustered by prompt: the mean coverage of prompts against 0.95, one-sided at 0.001.
    spread = max(float(means.std(ddof=1)), 1e-12)  # every interval may hold
    z = (means.mean() - 0.95) / (spread / math.sqrt(means.size))
    print(f"{intervals} intervals, mean coverage {means.mean():.4f}, z {z:.1f}")
    print(f"median width against the exact interval of the same n: {median(widths):.3f}")
    assert z > stats.norm.ppf(0.001)
    assert median(widths) <= 1.5


def test_truncated_support_is_named_not_numbered(studies: list[Study]) -> None:
    study = studies[2]
    masses = [exact.singular_mass for exact in study.exact]
    assert 0.001 < float(np.mean(masses)) < 0.3
    for exact, row in zip(study.exact, study.findings.rows, strict=True):
        if row["kl"]["status"] == "undefined":
            assert row["kl"]["reason"] == "truncated_support"
            assert exact.singular_mass > 0
        assert row["tilt"]["status"] in {"ok", "censored", "unreliable"}
    assert any(row["kl"]["status"] == "undefined" for row in study.findings.rows)


def test_dataset_means_lie_within_their_sampling_error(studies: list[Study]) -> None:
    for study in studies:
        document = study.findings.document
        pairs = {
            "reference": (document["support"]["reference"]["success"], np.mean([e.a for e in study.exact])),
            "candidate": (document["support"]["candidate"]["success"], np.mean([e.b for e in study.exact])),
            "gain": (document["gain"]["total"], np.mean([e.gain for e in study.exact])),
        }
        if all(math.isfinite(e.kl) for e in study.exact):
            pairs["kl"] = (document["free_energy"]["kl"], np.mean([e.kl for e in study.exact]))
        for name, (estimate, truth) in pairs.items():
            z = (estimate["value"] - truth) / estimate["sampling_std_error"]
            assert abs(z) < 4.5, (name, z)


def test_parts_sum(studies: list[Study]) -> None:
    for study in studies:
        for row in study.findings.rows:
            terms = [row[name]["value"] for name in ("tilt", "drift", "escape")]
            if row["kl"]["value"] is not None and None not in terms:
                assert sum(terms) == pytest.approx(row["kl"]["value"], abs=1e-9)
        gain = study.findings.document["gain"]
        parts = [gain[part]["value"] for part in ("elicited", "created", "lost", "undetermined")]
        assert math.fsum(parts) == pytest.approx(gain["total"]["value"], abs=1e-12)


def test_a_fixed_plan_draws_the_pilot_of_an_adaptive_one_token_for_token(studies: list[Study]) -> None:
    for adaptive, fixed in zip(studies[::2], studies[1::2], strict=True):
        of_sides = [
            [row for row in run.samples if row["stream"] in ("reference", "candidate")]
            for run in (adaptive, fixed)
        ]
        pilot = [row for row in of_sides[0] if row["index"] < 64]
        assert pilot == of_sides[1]
        assert len(pilot) == 2 * 64 * PROMPTS_PER_PAIR
