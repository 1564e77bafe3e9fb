"""How cost grows: tokens with prompts and K_probe, memory with samples, time with workers and lengths."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import psutil

from benchmarks.calibration.frames import spec_of
from benchmarks.performance.benchmark import Benchmark
from benchmarks.performance.engine_scaling import engine_scaling
from benchmarks.performance.outcome import Curve, Outcome
from benchmarks.performance.planted import analysed, spread_world
from benchmarks.performance.service import Service, comparison, running
from benchmarks.performance.session import Session, figure
from workers.estimators.counts import epsilon

PROMPTS = (5, 10, 20, 40, 80)
BUDGETS = (32, 64, 128, 256, 512, 1024)
SAMPLES = (16, 64, 256)
MEMORY_PROMPTS = (5, 11, 22)
MEMORY_BUDGETS = (64, 256, 1024)
"""Of what a worker's memory is read for; K_probe on prompts that are created, which draw in proportion."""
SETS = {"elicited": (8.0, 0.9), "created": (0.001, 0.9), "neither": (0.001, 0.001)}
"""a over ε(K_probe), and b."""


def run(session: Session) -> Outcome:
    """Measure."""
    by_prompts: dict[str, list[list[float]]] = {}
    by_budget: dict[str, list[list[float]]] = {}
    for name, (times, b) in SETS.items():
        by_prompts[name] = [
            [m, _tokens(session, name, times, b, m, 256)] for m in PROMPTS[: session.size(5, 2)]
        ]
        by_budget[name] = [
            [k, _tokens(session, name, times, b, 10, k)] for k in BUDGETS[: session.size(6, 2)]
        ]
        session.report(f"{name}: {by_prompts[name]}, {by_budget[name]}")
    growth = {
        name: (points[-1][1] / points[0][1]) / (points[-1][0] / points[0][0])
        for name, points in by_budget.items()
    }
    alone, verdict, memory = _one_worker(session)
    by_size = {
        "prompts": _memory(session, "prompts", MEMORY_PROMPTS, _of_prompts),
        "K_probe": _memory(session, "k_probe", MEMORY_BUDGETS, _of_budget),
    }
    session.check("verdict with one worker", verdict == "elicitation", verdict)
    seconds = {workers: _wall(session, workers) for workers in (1, 2)}
    session.report(f"seconds by workers: {seconds}")
    engine_figures, engine_curves = engine_scaling(session)
    return Outcome(
        figures=(
            figure(
                "tokens a prompt, 80 prompts over 5, worst set",
                [_worst(by_prompts)],
                "cases",
                at_most=1.5,
                limit="1",
                holds_back="few claims among many prompts are certified at M/(α k)",
            ),
            figure(
                "created: tokens by K_probe, growth over proportional",
                [growth["created"]],
                "cases",
                at_most=1.1,
                limit="1: ln(1/α)/ε is proportional to K_probe",
            ),
            figure(
                "elicited: tokens by K_probe, growth over proportional",
                [growth["elicited"]],
                "cases",
                at_most=0.2,
                limit="0: reach is shown by scores",
            ),
            figure(
                "two workers over one, wall",
                [seconds[1] / seconds[2]],
                "runs",
                limit="2, two cores",
                from_clocks=True,
                holds_back="gateway, reconciler and planning share the two cores, and rounds end together",
            ),
            figure(
                "memory of the engine, largest over smallest number of samples",
                [alone],
                "runs",
                at_most=2.0,
                limit="1: samples leave as shards are committed",
                holds_back="the final estimates hold all rows",
            ),
            *(
                figure(
                    f"memory of the engine, by {name}, largest over smallest",
                    [points[-1][1] / points[0][1]],
                    "runs",
                    at_most=2.0,
                    limit="1: samples leave as shards are committed",
                    holds_back="the final estimates hold all rows",
                )
                for name, points in by_size.items()
            ),
            *engine_figures,
        ),
        curves=(
            Curve(
                "Tokens by prompts", "prompts (K_probe 256)", "tokens a prompt, in completions", by_prompts
            ),
            Curve("Tokens by K_probe", "K_probe (10 prompts)", "tokens a prompt, in completions", by_budget),
            Curve(
                "Memory by samples", "samples a prompt and side", "MiB resident, engine", {"engine": memory}
            ),
            *(
                Curve(f"Memory by {name}", name, "MiB resident, engine", {"engine": points})
                for name, points in by_size.items()
            ),
            *engine_curves,
        ),
    )


def _tokens(session: Session, name: str, times: float, b: float, prompts: int, k_probe: int) -> float:
    """Mean tokens of a prompt, drawn and scored, in completions."""
    spec = spec_of(prompts, k_probe=k_probe, pilot=32, most=12 * k_probe)
    world = spread_world(min(0.5, times * epsilon(k_probe, 0.5)), b, 0.5)
    _, cost = analysed(spec, [world] * prompts, session.rng(name, prompts, k_probe))
    return cost.tokens / prompts


def _worst(by_prompts: dict[str, list[list[float]]]) -> float:
    return max(points[-1][1] / points[0][1] for points in by_prompts.values())


def _request(samples: int, seed: int) -> dict[str, Any]:
    budget = {"samples_per_prompt": samples, "max_samples_per_prompt": samples, "adaptive": False}
    return comparison("tiny-sft", "basin_tail", budget=budget, seed=seed)


def _one_worker(session: Session) -> tuple[float, str, list[list[float]]]:
    """Growth of the engine's resident memory, a verdict, and the points behind it."""
    points: list[list[float]] = []
    verdict = ""
    with running(session.scratch / "memory") as service:
        for number, samples in enumerate(SAMPLES[: session.size(3, 2)]):
            found = service.result(service.analyse(_request(samples, seed=50 + number)))
            verdict = found["verdict"]["label"]
            points.append([samples, _resident(service) / 2**20])
    return points[-1][1] / points[0][1], verdict, points


def _memory(
    session: Session, name: str, sizes: Sequence[int], request: Callable[[int], dict[str, Any]]
) -> list[list[float]]:
    """MiB that are resident after an analysis of each size, the smallest first: a process gives none back."""
    points: list[list[float]] = []
    with running(session.scratch / f"memory-{name}") as service:
        for size in sizes[: session.size(len(sizes), 2)]:
            service.analyse(request(size))
            points.append([size, _resident(service) / 2**20])
    return points


def _of_prompts(count: int) -> dict[str, Any]:
    request = _request(64, seed=60 + count)
    return {**request, "prompts": {"inline": request["prompts"]["inline"][:count]}}


def _of_budget(k_probe: int) -> dict[str, Any]:
    budget = {"k_probe": k_probe, "max_samples_per_prompt": 12 * k_probe}
    return comparison("tiny-new", "new_rule", budget=budget, seed=70)


def _resident(service: Service) -> int:
    """Bytes of the process that draws and scores or of the one that estimates, whichever is larger."""
    worker = service.embedded.child("worker-1").pid
    if worker is None:
        raise ValueError("no worker is running")
    hosts = [
        child
        for child in psutil.Process(worker).children(recursive=True)
        if "workers.host.main" in " ".join(child.cmdline())
    ]
    if not hosts:
        raise ValueError("no engine is running")
    return max(int(host.memory_info().rss) for host in hosts)


def _wall(session: Session, workers: int) -> float:
    """Engine-bound seconds of an analysis, models warm, by the analysis's own times."""
    with running(session.scratch / f"workers-{workers}", workers=workers) as service:
        service.analyse(_request(8, seed=1))
        analysis_id = service.analyse(_request(session.size(192, 16), seed=2))
        found = service.client.analyses.get(analysis_id)
        if found.finished_at is None:
            raise ValueError("it has not ended")
        ended, accepted = (datetime.fromisoformat(str(t)) for t in (found.finished_at, found.created_at))
        return (ended - accepted).total_seconds()


BENCHMARK = Benchmark(
    title="How cost grows with prompts, K_probe, samples, workers, completion length and vocabulary",
    against="the smallest case",
    run=run,
)
