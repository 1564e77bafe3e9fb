"""Tokens until the price of a rare success is known to a tenth of a decade, against drawing for it."""

import math
from collections.abc import Mapping

import numpy as np

from benchmarks.calibration.frames import spec_of
from benchmarks.calibration.worlds import Draws, World, mode_world
from benchmarks.performance.benchmark import Benchmark
from benchmarks.performance.outcome import Curve, Outcome
from benchmarks.performance.planted import analysed, brute_draws, spread_world
from benchmarks.performance.session import Session, figure
from workers.estimators.counts import epsilon
from workers.estimators.importance import pooled_log_success
from workers.pipelines.assessment import scored_rounds

RMSE = 0.1
DEPTHS = (1e-6, 1e-5, 1e-4, 1e-3)
CANDIDATES = {
    "b = 0.9, spread 0.3 nats": (0.9, 0.3),
    "b = 0.5, spread 0.7 nats": (0.5, 0.7),
    "b = 0.2, spread 1 nat": (0.2, 1.0),
}
"""Chance of success and standard deviation of log q/p inside C."""
WEAK = "b = 0.2, spread 1 nat"
PILOTS = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024)
K_PROBE = 256
ELSEWHERE = {
    "a = 0.3": (0.3, 0.9, 1.0),
    "a = 0.05": (0.05, 0.9, 1.0),
    "a = 4 ε, candidate weak": (4.0, 0.05, 1.0),
    "a = 2 ε, candidate blind": (2.0, 0.9, 1e-6),
    "a = 5 ε, candidate blind": (5.0, 0.9, 1e-6),
    "a = 10 ε, candidate blind": (10.0, 0.9, 1e-6),
    "a = 2 ε, half of C unseen": (2.0, 0.9, 0.5),
    "a = ε/2": (0.5, 0.9, 1.0),
    "a = 0.001 ε": (0.001, 0.9, 1.0),
    "a = b": (0.3, 0.3, 1.0),
}
"""a, or a over ε(K_probe) where named so; b; share of p(C) that the candidate visits."""
OPEN = {
    "a = 0.9 ε": (0.9, 0.05, 1.0),
    "a = 1.2 ε": (1.2, 0.05, 1.0),
    "a = 4 ε, 0.7 of C unseen": (4.0, 0.05, 0.3),
}
"""The same where b is near ε(K_use): most samples are drawn to decide the candidate's own class."""
ELSEWHERE_SEEDS = 400
"""At 40 the standard error of a ratio of 1.1 is about 0.05."""


def run(session: Session) -> Outcome:
    """Measure."""
    seeds = session.size(200, 20)
    ratios: dict[str, dict[float, float]] = {name: {} for name in CANDIDATES}
    for name, (b, spread) in CANDIDATES.items():
        for a in DEPTHS:
            world = spread_world(a, b, spread)
            pilot, bias = _pilot_needed(session, world, seeds)
            ratios[name][a] = brute_draws(a, RMSE) / (4 * pilot)
            session.check(
                f"a = {a:g}, {name}",
                abs(bias) < RMSE,
                f"{seeds} prices off by {bias:+.3f} decades on average, {pilot} draws a side",
            )
            session.report(f"a = {a:g}, {name}: {pilot} draws a side, {ratios[name][a]:,.0f} x")
    every = [ratio for by_depth in ratios.values() for ratio in by_depth.values()]
    worst, cells = _elsewhere(session, ELSEWHERE)
    worst_open, open_cells = _elsewhere(session, OPEN)
    mean = math.exp(float(np.mean(np.log(every))))
    limit = "n ≥ (1/b − 1)/r² candidate draws, each drawn and read: 2 tokens a token"
    return Outcome(
        figures=(
            figure("geometric mean", [mean], "cells", n=len(every), at_least=1000, limit=limit),
            figure("every cell", every, "cells"),
            figure(
                "at a = 1e-6", [by[1e-6] for by in ratios.values()], "cells", at_least=10_000, limit=limit
            ),
            figure(
                "weak candidate",
                list(ratios[WEAK].values()),
                "cells",
                at_least=20,
                limit="(1/0.2 − 1)/r² = 75",
            ),
            figure(
                "tokens beyond the pilot, with scores over without, worst cell",
                [worst],
                "cells",
                n=len(ELSEWHERE),
                at_most=1.1,
                holds_back=(
                    "classes take two thirds of their evidence from counts and a third from scores, fixed in "
                    "advance: where scores say nothing, `in` needs log 3/2 nats more"
                ),
            ),
            figure(
                "the same, candidate near its own threshold, worst cell",
                [worst_open],
                "cells",
                n=len(OPEN),
                at_most=1.1,
                holds_back=(
                    "the reference reads the successes among the samples that decide the candidate's own "
                    "class, a share b of them"
                ),
            ),
        ),
        curves=(
            Curve(
                "Tokens saved by depth",
                "a, the reference's chance of success",
                "tokens of brute force over ours",
                {name: [[a, ratio] for a, ratio in by.items()] for name, by in ratios.items()},
            ),
        ),
        notes=(
            f"Fixed pilots, both sides drawn and both scored, so 4 tokens a draw and side; root mean square "
            f"error of log10 of the pooled point over {seeds} seeds. (A row's price is that point where the "
            "weights are sound or the pilot has a success, else a bound, with its grade.) Brute "
            "force is computed: at 1e-6 it takes "
            f"{brute_draws(1e-6, RMSE):,} draws. Real pairs have longer tails of p/q than six planted "
            "modes: expect less, and read the diagnostics of the weights beside each price.",
            "Elsewhere, mean tokens beyond the pilot (K_probe 256, pilot 64) until the class is settled, "
            "with and without scores: "
            + "; ".join(cells)
            + ". Candidate near its own threshold, b = 0.05: "
            + "; ".join(open_cells)
            + ".",
        ),
    )


def _pilot_needed(session: Session, world: World, seeds: int) -> tuple[int, float]:
    """The least pilot of the list whose pooled point has the wanted error, and its mean error in decades."""
    truth = math.log10(world.a)
    for pilot in PILOTS:
        errors = []
        for seed in range(seeds):
            draws = Draws(world, session.rng(world.a, world.b, pilot, seed))
            seen = draws.observe(0, (pilot, pilot), pilot, scored=True)
            point = pooled_log_success(scored_rounds(seen) or []).value
            if point is None:
                break
            errors.append(point / math.log(10) - truth)
        if len(errors) == seeds and math.sqrt(float(np.mean(np.square(errors)))) <= RMSE:
            return pilot, float(np.mean(errors))
    raise ValueError(f"no pilot up to {PILOTS[-1]} suffices at a = {world.a:g}")


def _elsewhere(
    session: Session, planted: Mapping[str, tuple[float, float, float]]
) -> tuple[float, list[str]]:
    """Where scores may not pay: the largest ratio of tokens beyond the pilot, with scores over without."""
    threshold, seeds, pilot = epsilon(K_PROBE, 0.5), session.size(ELSEWHERE_SEEDS, 4), 64
    spec = spec_of(1, k_probe=K_PROBE, pilot=pilot, most=12 * K_PROBE)
    worst, words = 0.0, []
    for name, (a, b, covered) in planted.items():
        rate = a * threshold if "ε" in name else a
        world = mode_world(rate, b, covered=covered)
        spent = {True: 0.0, False: 0.0}
        for seed in range(seeds):
            for scored in (True, False):
                _, cost = analysed(spec, [world], session.rng(name, seed), scored=scored)
                spent[scored] += cost.tokens - 2 * pilot - (2 * pilot if scored else 0)
        mine, theirs = spent[True] / seeds, spent[False] / seeds
        if theirs or mine:
            worst = max(worst, mine / theirs if theirs else math.inf)
        words.append(f"{name}: {mine:,.0f} and {theirs:,.0f}")
    return worst, words


BENCHMARK = Benchmark(
    title="Tokens until a rare success is priced to RMSE 0.1 in log10 a",
    against="draws of the reference until the same error, computed; a scored token counts as a drawn one",
    run=run,
)
