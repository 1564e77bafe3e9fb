"""What the service adds to the work of the engine: time between shards, waiting, latency, bytes."""

import io
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow.parquet as pq
from celery import Celery
from sqlalchemy import Engine, select

from benchmarks.performance.bare_celery import POOL
from benchmarks.performance.benchmark import Benchmark
from benchmarks.performance.celery_round_trip import celery_alone, round_trips, worker_pid
from benchmarks.performance.machine import Usage
from benchmarks.performance.outcome import Outcome
from benchmarks.performance.service import Service, comparison, running
from benchmarks.performance.session import MOST_FOREIGN, Session, figure
from benchmarks.performance.slowdown import slowdowns
from benchmarks.performance.spans import ENGINE, NO_SHARD, attempts_of, shares, wait, wall
from ledger.artefacts import ArtefactStore
from ledger.database import connect, read
from ledger.states import Work
from ledger.tables import shards

JOB_SECONDS = 10.0
TRIAL = 384
STEP = 32
"""Samples a prompt and side: of the job by which the others are sized, and in what steps."""

WORK_NAMES = {Work.PLAN: "planning", Work.VERIFY: "judging", Work.FINALISE: "estimating and the report"}


def run(session: Session) -> Outcome:
    """Measure."""
    with running(session.scratch / "service") as service:
        ledger = connect(f"sqlite:///{service.home / 'ledger.sqlite3'}")
        warm = service.analyse(_request(8, seed=1))
        verdict = service.result(warm)["verdict"]["label"]
        session.check("a warm-up analysis ends with a verdict", bool(verdict), f"{verdict}, models resident")
        with celery_alone(session.scratch / "celery") as bare:
            doer = worker_pid(bare)
            session.check("a bare task is done by its worker", doer != os.getpid(), "in another process")
            pilot = session.size(_samples(service, ledger), 16)
            jobs, dropped = _jobs(session, service, ledger, bare, pilot)
        idle = _status_seconds(service, warm, session.size(300, 20))
        waits = [wait(ledger, job.id) for job in jobs]
        busy_status, busy_wait = _saturated(session, service, ledger)
        slower = slowdowns(session, service, ledger, lambda seed: _request(session.size(TRIAL, 16), seed))
        stored = _bytes(service, ledger, jobs[0].id)
    spent = [shares(ledger, job.id) for job in jobs]
    walls = [wall(ledger, job.id) for job in jobs]
    return Outcome(
        figures=(
            figure(
                "share of the time in which no shard draws or scores",
                [1.0 - sum(one[work] for work in ENGINE) for one in spent],
                "runs",
                at_most=0.01,
                unit="share",
                limit="0: a broker's round trip of 0.3 ms a shard",
                holds_back=(
                    "a plan waits for its round and the report for everything, and completions of four "
                    "tokens give a tiny model little to do for each row they take in; see the next rows"
                ),
                from_clocks=True,
            ),
            figure(
                "of it in planning, judging and estimating",
                [sum(one[work] for work in WORK_NAMES) for one in spent],
                "runs",
                unit="share",
                from_clocks=True,
            ),
            *(
                figure(
                    f"of that in {name} (`{work}`)",
                    [one[work] for one in spent],
                    "runs",
                    unit="share",
                    from_clocks=True,
                )
                for work, name in WORK_NAMES.items()
            ),
            figure(
                "of it in no shard at all",
                [one[NO_SHARD] for one in spent],
                "runs",
                unit="share",
                from_clocks=True,
                holds_back=(
                    "each shard is claimed and committed by transactions of its own, and a round is closed "
                    "before the next is planned"
                ),
            ),
            figure("seconds from accepted to result", walls, "runs", unit="s", from_clocks=True),
            figure(
                "milliseconds from accepted to the first shard, idle",
                [1e3 * w for w in waits],
                "runs",
                at_most=10,
                unit="ms",
                holds_back="the plan of the pilot is a shard of its own, which reads the request first",
                from_clocks=True,
            ),
            figure(
                "milliseconds of a bare Celery round trip",
                [1e3 * job.round_trip for job in jobs],
                "runs",
                unit="ms",
                from_clocks=True,
            ),
            figure(
                "from accepted to the first shard, idle, over a bare Celery round trip",
                [w / job.round_trip for w, job in zip(waits, jobs, strict=True)],
                "runs",
                from_clocks=True,
            ),
            figure(
                "from accepted to the first shard, the engine busy over idle",
                [busy_wait / float(np.median(waits))],
                "runs",
                from_clocks=True,
                holds_back="a worker finishes the shard it is at; shards are sized in tokens, not in seconds",
            ),
            figure(
                "milliseconds of a status read with the engine busy, p99",
                [1e3 * float(np.quantile(busy_status, 0.99))],
                "runs",
                at_most=25,
                unit="ms",
                from_clocks=True,
            ),
            figure(
                "status p99 with the engine busy over idle",
                [float(np.quantile(busy_status, 0.99) / np.quantile(idle, 0.99))],
                "runs",
                from_clocks=True,
                holds_back="gateway and engine share two cores",
            ),
            figure(
                "seconds of the engine a token, its analysis polled over left alone",
                slower,
                "blocks",
                at_most=1.02,
                holds_back="gateway, poller and engine share two cores",
                from_clocks=True,
            ),
            figure(
                "bytes on disk per drawn token",
                [stored["sample"]],
                "runs",
                at_most=6,
                unit="B/token",
                limit="4 for a float32 log-probability that does not compress, and the entropy of the ids",
            ),
            figure(
                "bytes on disk per scored token",
                [stored["score"]],
                "runs",
                at_most=6,
                unit="B/token",
                limit="8 for a log-probability and a KL in float32 that do not compress or come twice",
            ),
        ),
        notes=(
            f"tiny-grpo against tiny-base, 22 prompts, {pilot} samples a prompt and side by a fixed plan, "
            "models warm, one worker: a job of about ten seconds here. Times are the ledger's own: attempts "
            "of shards, acceptance and end of the analysis; what goes on beside the engine counts for the "
            f"engine. {dropped} runs in which others took more than {MOST_FOREIGN:.0%} of the machine "
            "were dropped. Busy: another analysis of many shards is under way.",
            "Bare Celery: a task that does nothing, from `delay()` to the end of `get()`, through a Redis of "
            f"its own and one worker process (pool `{POOL}`, the shortest way); the median of "
            f"{session.size(100, 10)} just before each run. Our wait goes one way, and the service has "
            "written the analysis and claimed its first shard by then.",
        ),
    )


@dataclass(frozen=True, slots=True)
class _Job:
    """An analysis, and seconds of a bare round trip just before it, the median."""

    id: str
    round_trip: float


def _request(pilot: int, seed: int) -> dict[str, Any]:
    budget = {"samples_per_prompt": pilot, "max_samples_per_prompt": pilot, "adaptive": False}
    return comparison("tiny-grpo", "basin_tail", budget=budget, seed=seed)


def _samples(service: Service, ledger: Engine) -> int:
    """Samples a prompt and side of a job of `JOB_SECONDS` on this machine, by a shorter one."""
    seconds = wall(ledger, service.analyse(_request(TRIAL, seed=99)))
    return STEP * max(1, round(TRIAL / STEP * JOB_SECONDS / seconds))


def _jobs(
    session: Session, service: Service, ledger: Engine, bare: Celery, pilot: int
) -> tuple[list[_Job], int]:
    """Quiet runs, and how many were dropped; all of them if too few were quiet."""
    wanted = session.size(5, 1)
    every: list[_Job] = []
    quiet: list[_Job] = []
    for number in range(2 * wanted):
        before = Usage.now()
        round_trip = float(np.median(round_trips(bare, session.size(100, 10))))
        job = _Job(service.analyse(_request(pilot, seed=100 + number)), round_trip)
        every.append(job)
        if Usage.now().since(before).foreign <= MOST_FOREIGN:
            quiet.append(job)
        session.report(f"job {number + 1}: {wall(ledger, job.id):.1f} s, {len(quiet)} quiet")
        if len(quiet) >= wanted:
            break
    return (quiet, len(every) - len(quiet)) if len(quiet) >= min(3, wanted) else (every, 0)


def _saturated(session: Session, service: Service, ledger: Engine) -> tuple[Sequence[float], float]:
    """Latency of status reads, and the wait of a second analysis, while a first keeps the engine busy."""
    long = str(service.client.analyses.submit(_request(session.size(1024, 64), seed=7)).id)
    while not _started(ledger, long):
        service.embedded.watch_once()
        time.sleep(0.05)
    latencies = _status_seconds(service, long, session.size(300, 20))
    second = service.analyse(_request(4, seed=8))
    service.client.analyses.cancel(long)
    return latencies, wait(ledger, second)


def _status_seconds(service: Service, analysis_id: str, count: int) -> list[float]:
    url = f"{service.embedded.layout.url}/v1/analyses/{analysis_id}"
    found = []
    with httpx.Client() as client:
        client.get(url).raise_for_status()
        for _ in range(count):
            start = time.perf_counter()
            client.get(url).raise_for_status()
            found.append(time.perf_counter() - start)
            time.sleep(0.005)
    return found


def _started(ledger: Engine, analysis_id: str) -> bool:
    return any(work == "sample" for work, _, _ in attempts_of(ledger, analysis_id))


def _bytes(service: Service, ledger: Engine, analysis_id: str) -> dict[str, float]:
    """Bytes of the artefacts per token, by work."""
    store = ArtefactStore(Path(service.home) / "artefacts")
    size, tokens = {"sample": 0, "score": 0}, {"sample": 0, "score": 0}
    query = select(shards).where(shards.c.analysis_id == analysis_id, shards.c.work.in_(list(size)))
    with read(ledger) as conn:
        rows = conn.execute(query).all()
    for row in rows:
        data = store.open_verified(row.artefact_key, row.artefact_sha256)
        column = "token_ids" if row.work == "sample" else "token_logprobs"
        lengths = pq.read_table(io.BytesIO(data), columns=[column])[column]
        size[row.work] += len(data)
        tokens[row.work] += sum(map(len, lengths.to_pylist()))
    return {work: size[work] / tokens[work] for work in size}


BENCHMARK = Benchmark(
    title="What the service adds to the engine's work on an analysis of about ten seconds",
    against="the engine's own seconds of the same run, a bare Celery task, and an idle service",
    run=run,
)
