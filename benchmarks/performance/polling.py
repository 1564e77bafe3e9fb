"""How fast a client that polls is answered: with nothing under way, and while an analysis runs."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.performance import wrk
from benchmarks.performance.machine import Usage
from benchmarks.performance.outcome import Blocks
from benchmarks.performance.service import Service, comparison
from benchmarks.performance.session import LEAST_QUIET, MOST_FOREIGN, CheckFailed, Session
from tiltscope import progress

PAUSE_MS = 5
"""Mean pause before a request: one connection then asks as often as hundreds of clients that poll."""

PATIENCE_SECONDS = 60.0

LONG = 20_480
"""Samples a prompt and side: far more than are drawn while it is looked at; then it is cancelled."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One look at the idle service and one at the busy one, in turn.

    Attributes:
        idle: Reads of a finished analysis with nothing under way.
        busy: Reads of the same while a worker draws for another.
        running: Reads of that other.
        foreign: Share of the machine that other processes took meanwhile.
    """

    idle: wrk.Load
    busy: wrk.Load
    running: wrk.Load
    foreign: float

    @property
    def ratio(self) -> float:
        """Of the 99th percentiles, the same analysis read."""
        return self.busy.p99_ms / self.idle.p99_ms


def pairs(session: Session, service: Service) -> list[Pair]:
    """Quiet pairs, idle first in every other one; all of them if too few were quiet."""
    finished = service.analyse(_request(8, seed=1))
    wanted = session.size(5, 1)
    every: list[Pair] = []
    for number in range(2 * wanted):
        every.append(_pair(session, service, finished, number))
        quiet = [pair for pair in every if pair.foreign <= MOST_FOREIGN]
        session.report(f"polling: pair {number + 1}, {every[-1].ratio:.2f}, {len(quiet)} of {wanted} quiet")
        if len(quiet) >= wanted:
            break
    quiet = [pair for pair in every if pair.foreign <= MOST_FOREIGN]
    noisy = len(quiet) < min(LEAST_QUIET, wanted)
    kept = every if noisy else quiet
    worst = max(pair.foreign for pair in kept)
    session.blocks.append(
        Blocks(name="polling", kept=len(kept), dropped=len(every) - len(kept), foreign=worst, noisy=noisy)
    )
    return kept


def _pair(session: Session, service: Service, finished: str, number: int) -> Pair:
    before = Usage.now()
    idle = None if number % 2 else _reads(session, service, finished)
    busy, running = _while_busy(session, service, finished, seed=100 + number)
    if idle is None:
        idle = _reads(session, service, finished)
    return Pair(idle, busy, running, Usage.now().since(before).foreign)


def _while_busy(session: Session, service: Service, finished: str, seed: int) -> tuple[wrk.Load, wrk.Load]:
    long = str(service.client.analyses.submit(_request(LONG, seed)).id)
    _await(service, long, lambda found: found.progress.completed > 0)
    loads = _reads(session, service, finished), _reads(session, service, long)
    status = service.client.analyses.cancel(long).status
    session.check(f"analysis {seed} runs while it is looked at", status == "cancelling", f"{status} after it")
    _await(service, long, lambda found: progress.state_of(found).has_ended)
    return loads


def _reads(session: Session, service: Service, analysis_id: str) -> wrk.Load:
    url = f"{service.embedded.layout.url}/v1/analyses/{analysis_id}"
    return wrk.send(url, seconds=session.size(6, 1), connections=1, pause_ms=PAUSE_MS)


def _await(service: Service, analysis_id: str, when: Callable[[Any], bool]) -> None:
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not when(service.client.analyses.get(analysis_id)):
        service.embedded.watch_once()
        if time.monotonic() > give_up:
            raise CheckFailed(f"analysis {analysis_id} gets nowhere")
        time.sleep(0.05)


def _request(samples: int, seed: int) -> dict[str, Any]:
    budget = {"samples_per_prompt": samples, "max_samples_per_prompt": samples, "adaptive": False}
    return comparison("tiny-grpo", "basin_tail", budget=budget, seed=seed)
