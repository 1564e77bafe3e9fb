"""Tokens until the reach of prompts is known, and samples until a verdict, against fixed plans."""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.calibration.frames import spec_of
from benchmarks.calibration.worlds import World
from benchmarks.performance.benchmark import Benchmark
from benchmarks.performance.outcome import Figure, Outcome
from benchmarks.performance.planted import analysed, spread_world
from benchmarks.performance.service import EXAMPLES, Service, comparison, running
from benchmarks.performance.session import Session, figure
from workers.estimators.counts import epsilon
from workers.pipelines.assessment import assess_reference

K_PROBE = 693
"""The budget at which reach of one half means a >= 0.001."""
FIXED = 8192
"""Draws of the comparator, from the reference alone."""
PROMPTS = 20
PILOT = 32
EVERY = 4
"""Of the mixed set, each fourth prompt is out of reach."""
SETS = {"reachable": 50.0, "unreachable": 2.0, "mixed": 5.0}
SHALLOW, DEEP = 256, 8192
"""K_probe of the verdicts on the shipped pairs."""


def run(session: Session) -> Outcome:
    """Measure."""
    figures = []
    errors = {"reachable": [0, 0], "unreachable": [0, 0]}
    for name, target in SETS.items():
        ratios = [_planted(session, name, number, PROMPTS, errors) for number in range(session.size(12, 2))]
        session.report(f"{name}: {np.median(ratios):.1f} x")
        figures.append(
            figure(name, ratios, "seeds", at_least=target, limit=_LIMIT[name], holds_back=_WHY[name])
        )
    alone = [_planted(session, "unreachable", seed, 1, errors) for seed in range(session.size(20, 2))]
    figures.append(figure("unreachable, one prompt alone", alone, "seeds", limit="8192/2995 = 2.7"))
    for kind, (wrong, all_of) in errors.items():
        session.check(f"labels of {kind} prompts", wrong <= 0.05 * all_of, f"{wrong} of {all_of} wrong")
    with running(session.scratch / "service") as service:
        figures += _real(session, service)
    return Outcome(
        figures=tuple(figures),
        notes=(
            f"ε = {epsilon(K_PROBE, 0.5):.4f}, {PROMPTS} prompts an analysis, pilot {PILOT} a side; "
            f"tokens drawn and scored, of both sides, over {FIXED} draws of the reference a prompt. "
            "Reachable: a log-uniform in 3 ε to 0.3; unreachable: 1e-9 to ε/10; mixed: each fourth "
            "unreachable; candidates at b = 0.5 to 0.95, log-spread 0.5 nats. A label is wrong if it says "
            "the opposite.",
            f"The shipped pairs are sampled by the whole service. At K_probe = {DEEP} the fixed plan draws "
            f"{DEEP} a prompt and side; for tiny-new it draws what excludes a ≥ ε at level α.",
        ),
    )


_LIMIT = {
    "reachable": f"4 tokens a draw of the pilot: {FIXED / (4 * PILOT):.0f} at a pilot of {PILOT}",
    "unreachable": "8192/2995 = 2.7 with no token on the candidate",
    "mixed": f"{FIXED / (2995 / EVERY + 4 * PILOT * (1 - 1 / EVERY)):.1f}, from the two limits above",
}
_WHY = {
    "reachable": "the pilot decides; what is left are prompts near ε, which take a second round",
    "unreachable": "no success must be waited for: 4.65 K draws by an anytime e-value, 4.3 K by a fixed plan",
    "mixed": "the unreachable quarter, certified at M/(α k) because few claims are made",
}


def _planted(session: Session, kind: str, seed: int, prompts: int, errors: dict[str, list[int]]) -> float:
    """Tokens of the fixed plan over ours, for one analysis."""
    rng = session.rng(kind, prompts, seed)
    spec = spec_of(prompts, k_probe=K_PROBE, pilot=PILOT, most=12 * K_PROBE)
    threshold = epsilon(K_PROBE, 0.5)
    worlds = [_world(rng, kind, number, threshold) for number in range(prompts)]
    report, cost = analysed(spec, worlds, rng)
    for world, seen in zip(worlds, report.observations, strict=True):
        label = assess_reference(spec, seen).probe.label
        inside = world.a >= threshold
        found = errors["reachable" if inside else "unreachable"]
        found[0] += label == ("out" if inside else "in")
        found[1] += 1
    return FIXED * prompts / cost.tokens


def _world(rng: np.random.Generator, kind: str, number: int, threshold: float) -> World:
    out = kind == "unreachable" or (kind == "mixed" and number % EVERY == 0)
    low, high = (1e-9, threshold / 10) if out else (3 * threshold, 0.3)
    a = math.exp(rng.uniform(math.log(low), math.log(high)))
    return spread_world(a, float(rng.uniform(0.5, 0.95)), 0.5)


def _real(session: Session, service: Service) -> Sequence[Figure]:
    figures = []
    for candidate in ("tiny-sft", "tiny-grpo"):
        budget = {"k_probe": DEEP, "max_samples_per_prompt": 12 * DEEP}
        result = service.result(service.analyse(comparison(candidate, "basin_tail", budget=budget)))
        prompts, drawn = result["frame"]["prompts"], _samples(result)
        session.check(
            f"verdict on {candidate}",
            result["verdict"]["label"] == "elicitation",
            f"{result['verdict']['label']} after {drawn:,} samples",
        )
        ratio = 2 * prompts * DEEP / drawn
        figures.append(
            figure(
                f"{candidate}, K_probe {DEEP}, samples",
                [ratio],
                "runs",
                at_least=30,
                limit=f"{DEEP}/64 = 128",
            )
        )
    wanted = (SHALLOW, DEEP)[: session.size(2, 1)]
    return [*figures, *(_created(session, service, k_probe) for k_probe in wanted)]


def _created(session: Session, service: Service, k_probe: int) -> Figure:
    """Draws of the reference until creation is certified on every prompt, over the plan for one prompt."""
    budget = {"k_probe": k_probe, "max_samples_per_prompt": 12 * k_probe}
    result = service.result(service.analyse(comparison("tiny-new", "new_rule", budget=budget)))
    rows_created = sum(result["support"]["regimes"][name] for name in ("singular", "barrier", "unreached"))
    truth = json.loads((EXAMPLES / "prices.json").read_text("utf-8"))["tiny-base"]["new_rule"]
    threshold = epsilon(result["frame"]["budget"]["k_probe"], 0.5)
    session.check(
        f"verdict on tiny-new, K_probe {k_probe}",
        result["verdict"]["label"] == "creation"
        and rows_created == sum(a < threshold for a in truth.values()),
        f"{result['verdict']['label']}, {rows_created} of {len(truth)} prompts created",
    )
    prompts = result["frame"]["prompts"]
    drawn = _samples(result) - prompts * result["frame"]["budget"]["samples_per_prompt"]
    fixed = math.log(1 / result["frame"]["decision"]["alpha"]) / threshold
    return figure(
        f"tiny-new, K_probe {k_probe}, reference draws a prompt over ln(1/α)/ε",
        [drawn / prompts / fixed],
        "runs",
        at_most=1.3,
        limit="1: the fixed plan for one prompt",
    )


def _samples(result: dict[str, Any]) -> int:
    """All samples an analysis rests on, those too that another one had drawn before."""
    return int(result["usage"]["samples"] + result["usage"]["cached_samples"])


BENCHMARK = Benchmark(
    title="Tokens until the prompts' reach is labelled, errors at most 5 % each, and samples until a verdict",
    against="8,192 draws of the reference a prompt, and fixed plans of equal error control",
    run=run,
)
