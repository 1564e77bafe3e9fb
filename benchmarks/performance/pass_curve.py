"""Tokens until the mean of pass@1024 over a data set is known to 0.01, against uniform draws."""

import math

import numpy as np
from scipy import stats
from scipy.special import gammaln

from benchmarks.calibration.frames import spec_of
from benchmarks.calibration.worlds import Draws, World
from benchmarks.performance.benchmark import Benchmark
from benchmarks.performance.outcome import Curve, Outcome
from benchmarks.performance.planted import spread_world
from benchmarks.performance.session import Session, figure
from workers.pipelines.assessment import assess_reference

K = 1024
ERROR = 0.01
PROMPTS = 60
PILOTS = (8, 12, 16, 24, 32, 48, 64, 96, 128)
FIXED = tuple(round(1024 * 2 ** (step / 4)) for step in range(25))


def run(session: Session) -> Outcome:
    """Measure."""
    ratios, curve = [], {}
    for number in range(session.size(3, 1)):
        rng = session.rng("data set", number)
        worlds = [_world(rng) for _ in range(PROMPTS)]
        truth = float(np.mean([_pass(world.a) for world in worlds]))
        fixed = next(n for n in FIXED if _fixed_error(worlds, n) <= ERROR)
        errors: dict[int, tuple[float, float]] = {}
        for pilot in PILOTS:
            errors[pilot] = _ours(session, worlds, pilot, truth)
            if errors[pilot][1] <= ERROR:
                break
        enough = [n for n, (_, rmse) in errors.items() if rmse <= ERROR]
        if not enough:
            raise ValueError(f"no pilot up to {max(errors)} brings the error to {ERROR}")
        ratios.append(fixed / (4 * enough[0]))
        curve[f"data set {number + 1}"] = [[4.0 * n, rmse] for n, (_, rmse) in errors.items()]
        off = errors[enough[0]][0]
        session.check(
            f"data set {number + 1}",
            abs(off) < ERROR,
            f"pass@{K} is {truth:.3f}; {enough[0]} draws a side are off by {off:+.4f} on average; uniform "
            f"draws take {fixed:,} a prompt",
        )
        session.report(f"data set {number + 1}: {ratios[-1]:.0f} x")
    return Outcome(
        figures=(
            figure(
                f"mean pass@{K}",
                ratios,
                "cases",
                at_least=30,
                limit="pass@k has no unbiased estimate from fewer than k draws: at least 1,024 a prompt",
                holds_back=(
                    "four tokens a draw of the pilot; below about 10 effective successes and without a "
                    "success of the reference a price is a bound"
                ),
            ),
        ),
        curves=(Curve(f"Error of mean pass@{K}", "tokens a prompt, in completions", "RMSE", curve),),
        notes=(
            f"{PROMPTS} prompts, a log-uniform from 1e-5 to 0.5, candidates at b = 0.3 to 0.95, spread 0.5 "
            "nats. Ours: 1 − (1 − a)^k at the prices that the prompts' rows print. A report itself prints "
            "pass@k up to the pilot's size and calls it undefined beyond: this figure rests on scores, so it "
            "holds only where the candidate visits all of C, as these do. Uniform: exact standard error of "
            "Chen's estimator at the least fixed n.",
        ),
    )


def _world(rng: np.random.Generator) -> World:
    a = math.exp(rng.uniform(math.log(1e-5), math.log(0.5)))
    return spread_world(a, float(rng.uniform(0.3, 0.95)), 0.5)


def _pass(a: float) -> float:
    return -math.expm1(K * math.log1p(-a)) if a < 1 else 1.0


def _fixed_error(worlds: list[World], n: int) -> float:
    """Standard error of Chen's estimator for the mean over the listed prompts, n draws each; enumerated."""
    c = np.arange(n - K + 1)
    log_fails = gammaln(n - c + 1) - gammaln(n - c - K + 1) - gammaln(n + 1) + gammaln(n - K + 1)
    total = 0.0
    for world in worlds:
        off = np.exp(log_fails) - (1 - _pass(world.a))
        chance = stats.binom.pmf(c, n, world.a)
        total += float(chance @ off**2) + (1 - float(chance.sum())) * (1 - _pass(world.a)) ** 2
    return math.sqrt(total) / len(worlds)


def _ours(session: Session, worlds: list[World], pilot: int, truth: float) -> tuple[float, float]:
    """Mean error and its root mean square, over seeds."""
    spec = spec_of(1, pilot=pilot, most=pilot, adaptive=False)
    errors = []
    for seed in range(session.size(200, 4)):
        rng = session.rng("draws", pilot, seed, worlds[0].a)
        prices = [
            assess_reference(
                spec, Draws(world, rng).observe(0, (pilot, pilot), pilot, scored=True)
            ).evidence.price.value
            for world in worlds
        ]
        errors.append(float(np.mean([0.0 if s is None else _pass(math.exp(-s)) for s in prices])) - truth)
    return float(np.mean(errors)), math.sqrt(float(np.mean(np.square(errors))))


BENCHMARK = Benchmark(
    title=f"Tokens until the mean of pass@{K} over a data set is known to {ERROR}",
    against="the same number of draws for every prompt, fixed in advance",
    run=run,
)
