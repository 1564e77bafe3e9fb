"""The gate: whether bounds hold, and whether anything within reach is called unreachable."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.calibration.frames import spec_of
from benchmarks.calibration.worlds import World, mode_world, random_world
from benchmarks.performance.benchmark import Benchmark
from benchmarks.performance.outcome import Outcome
from benchmarks.performance.planted import analysed
from benchmarks.performance.session import Session, figure
from workers.estimators.counts import epsilon
from workers.estimators.importance import pooled_log_success
from workers.estimators.scored_round import ScoredRound
from workers.pipelines.assessment import assess_reference, scored_rounds

K_PROBE = 64
FAMILIES: dict[str, tuple[int, dict[str, Any]]] = {
    "full support, adaptive": (800, {"pilot": 64, "most": 1024}),
    "full support, fixed pilot of 16": (300, {"pilot": 16, "most": 16, "adaptive": False}),
    "truncated support, adaptive": (400, {"pilot": 64, "most": 1024, "top_p": 0.95}),
    "mode drop, adaptive": (700, {"pilot": 64, "most": 1024}),
}
"""Worlds, and how they are sampled. Every world is a cell: laws of its own, one analysis."""
DROPPED = "mode drop, adaptive"
Z = 1.959964


def run(session: Session) -> Outcome:
    """Measure."""
    threshold = epsilon(K_PROBE, 0.5)
    held: Counter[str] = Counter()
    cells: Counter[str] = Counter()
    conditional: list[bool] = []
    false_out: Counter[str] = Counter()
    false_in = reached = unreached = 0
    for family, (count, sampling) in FAMILIES.items():
        spec = spec_of(1, k_probe=K_PROBE, **sampling)
        for number in range(session.size(count, 12)):
            rng = session.rng(family, number)
            world = _world(family, rng, threshold)
            report, _ = analysed(spec, [world], rng)
            seen = report.observations[0]
            found = assess_reference(spec, seen)
            a, evidence = world.a, found.evidence
            low = math.exp(evidence.log_lower)
            cells[family] += 1
            held[family] += low <= a * (1 + 1e-9) and a <= evidence.upper * (1 + 1e-9)
            label = found.probe.label
            reached, unreached = reached + (a >= threshold), unreached + (a < threshold)
            false_out[family] += label == "out" and a >= threshold
            false_in += label == "in" and a < threshold
            if family.startswith("full"):
                conditional += _conditional(scored_rounds(seen) or [], a)
        session.report(f"{family}: {held[family]} of {cells[family]} hold")
    total, all_held = sum(cells.values()), sum(held.values())
    session.check("worlds", total == cells.total() and reached + unreached == total, f"{total} enumerated")
    return Outcome(
        figures=(
            figure(
                "guaranteed bounds",
                [all_held / total],
                "cells",
                n=total,
                at_least=0.95,
                unit="share",
                limit="0.95",
            ),
            *(
                figure(
                    f"guaranteed, {name}",
                    [held[name] / cells[name]],
                    "cells",
                    n=cells[name],
                    at_least=0.95,
                    unit="share",
                )
                for name in FAMILIES
            ),
            figure(
                "conditional intervals, full support",
                [float(np.mean(conditional))],
                "cells",
                n=len(conditional),
                at_least=0.94,
                unit="share",
                limit="0.95",
                holds_back="a delta-method interval in log a, where its diagnostics call the weights sound",
            ),
            figure(
                "false `out`, mode drop",
                [float(false_out[DROPPED])],
                "cells",
                n=cells[DROPPED],
                at_most=0,
                unit="cells",
            ),
            figure(
                "false `out`, all",
                [sum(false_out.values()) / max(reached, 1)],
                "cells",
                n=reached,
                at_most=0.05,
                unit="share",
            ),
            figure(
                "false `in`, all",
                [false_in / max(unreached, 1)],
                "cells",
                n=unreached,
                at_most=0.05,
                unit="share",
            ),
        ),
        notes=(
            f"{total:,} worlds, each with laws of its own: {reached:,} within reach of K_probe = "
            f"{K_PROBE}, {unreached:,} not. Mode drop: the candidate visits half, a hundredth or a "
            "millionth of p(C), at a = 2 to 20 ε. Conditional intervals: "
            f"{len(conditional):,} pooled points graded `ok`, ± 1.96 standard errors of log a. Guaranteed "
            "bounds: the larger lower end of counts and scores, and the counts' upper end.",
        ),
    )


def _world(family: str, rng: np.random.Generator, threshold: float) -> World:
    if family == DROPPED:
        covered = float(rng.choice([0.5, 1e-2, 1e-6]))
        a = threshold * math.exp(rng.uniform(math.log(2.0), math.log(20.0)))
        return mode_world(a, float(rng.uniform(0.3, 0.95)), covered=covered)
    world = random_world(rng)
    if not family.startswith("truncated"):
        return world
    # The nucleus drops the reference's rarest completions; the candidate still draws them.
    order = np.argsort(world.p)
    p = world.p.copy()
    p[order[np.cumsum(world.p[order]) <= 0.05]] = 0.0
    return World(p / p.sum(), world.q, world.correct, untruncated=world.p)


def _conditional(rounds: Sequence[ScoredRound], a: float) -> list[bool]:
    """Whether the interval about the pooled point holds a; nothing where its diagnostics doubt it."""
    point = pooled_log_success(rounds) if rounds else None
    if point is None or point.status != "ok" or point.value is None or point.std_error is None:
        return []
    return [abs(point.value - math.log(a)) <= Z * point.std_error]


BENCHMARK = Benchmark(
    title="Coverage of bounds and intervals, and false claims of reach, against enumeration",
    against="the exact laws of worlds small enough to enumerate",
    run=run,
    gates=True,
)
