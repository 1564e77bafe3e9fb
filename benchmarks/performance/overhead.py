"""What the service adds to the work of the engine: time between shards, waiting, latency, bytes."""

import io
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow.parquet as pq
from sqlalchemy import Engine, select

from benchmarks.performance.benchmark import Benchmark
from benchmarks.performance.machine import Usage
from benchmarks.performance.outcome import Outcome
from benchmarks.performance.service import Service, comparison, running
from benchmarks.performance.session import MOST_FOREIGN, Session, figure
from ledger.artefacts import ArtefactStore
from ledger.database import connect, read
from ledger.tables import analyses, attempts, shards

SECONDS = 1e-6
"""The ledger counts microseconds."""


def run(session: Session) -> Outcome:
    """Measure."""
    pilot = session.size(192, 16)
    with running(session.scratch / "service") as service:
        ledger = connect(f"sqlite:///{service.home / 'ledger.sqlite3'}")
        warm = service.analyse(_request(8, seed=1))
        verdict = service.result(warm)["verdict"]["label"]
        session.check("a warm-up analysis ends with a verdict", bool(verdict), f"{verdict}, models resident")
        jobs, dropped = _jobs(session, service, ledger, pilot)
        idle = _status_seconds(service, warm, session.size(300, 20))
        waits = [_wait(ledger, job) for job in jobs]
        busy_status, busy_wait = _saturated(session, service, ledger)
        stored = _bytes(service, ledger, jobs[0])
    outside, science = zip(*(_shares(ledger, job) for job in jobs), strict=True)
    walls = [_wall(ledger, job) for job in jobs]
    return Outcome(
        figures=(
            figure(
                "share of the time in which no shard draws or scores",
                [away + other for away, other in zip(outside, science, strict=True)],
                "runs",
                at_most=0.01,
                unit="share",
                limit="0: a broker's round trip of 0.3 ms a shard",
                holds_back=(
                    "planning, judging, estimating and the report take turns with the engine, and on "
                    "completions of four tokens there is more of them than of it; see the next two rows"
                ),
                from_clocks=True,
            ),
            figure(
                "of it in planning, judging and estimating",
                science,
                "runs",
                unit="share",
                from_clocks=True,
            ),
            figure(
                "of it in no shard at all",
                outside,
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
                "the same with the engine busy over idle",
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
                limit="8 for a log-probability and a KL in float32 that do not compress",
                holds_back="a row has four sums in float64 too, and here only four tokens to share them",
            ),
        ),
        notes=(
            f"tiny-grpo against tiny-base, 22 prompts, {pilot} samples a prompt and side by a fixed plan, "
            "models warm, one worker; times are the ledger's own: attempts of shards, acceptance and end of "
            f"the analysis. {dropped} runs in which others took more than {MOST_FOREIGN:.0%} of the machine "
            "were dropped. Busy: another analysis of many shards is under way.",
        ),
    )


def _request(pilot: int, seed: int) -> dict[str, Any]:
    budget = {"samples_per_prompt": pilot, "max_samples_per_prompt": pilot, "adaptive": False}
    return comparison("tiny-grpo", "basin_tail", budget=budget, seed=seed)


def _jobs(session: Session, service: Service, ledger: Engine, pilot: int) -> tuple[list[str], int]:
    """Quiet runs, and how many were dropped; all of them if too few were quiet."""
    wanted = session.size(5, 1)
    every, quiet = [], []
    for number in range(2 * wanted):
        before = Usage.now()
        job = service.analyse(_request(pilot, seed=100 + number))
        every.append(job)
        if Usage.now().since(before).foreign <= MOST_FOREIGN:
            quiet.append(job)
        session.report(f"job {number + 1}: {_wall(ledger, job):.1f} s, {len(quiet)} quiet")
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
    return latencies, _wait(ledger, second)


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


def _attempts(ledger: Engine, analysis_id: str) -> list[tuple[str, int, int]]:
    """Work, start and end of each shard's attempt, microseconds, by start."""
    query = (
        select(shards.c.work, attempts.c.started_at, attempts.c.ended_at)
        .join(shards, shards.c.id == attempts.c.shard_id)
        .where(shards.c.analysis_id == analysis_id, attempts.c.ended_at.is_not(None))
        .order_by(attempts.c.started_at)
    )
    with read(ledger) as conn:
        return [(row.work, row.started_at, row.ended_at) for row in conn.execute(query)]


def _started(ledger: Engine, analysis_id: str) -> bool:
    return any(work == "sample" for work, _, _ in _attempts(ledger, analysis_id))


def _span(ledger: Engine, analysis_id: str) -> tuple[int, int]:
    with read(ledger) as conn:
        row = conn.execute(select(analyses).where(analyses.c.id == analysis_id)).one()
    return row.created_at, row.finished_at


def _wall(ledger: Engine, analysis_id: str) -> float:
    accepted, ended = _span(ledger, analysis_id)
    return SECONDS * (ended - accepted)


def _wait(ledger: Engine, analysis_id: str) -> float:
    return SECONDS * (_attempts(ledger, analysis_id)[0][1] - _span(ledger, analysis_id)[0])


def _shares(ledger: Engine, analysis_id: str) -> tuple[float, float]:
    """Shares of the time: in no shard's engine, and in shards that neither draw nor score."""
    wall = _wall(ledger, analysis_id)
    query = (
        select(shards.c.work, attempts.c.engine_seconds)
        .join(shards, shards.c.id == attempts.c.shard_id)
        .where(shards.c.analysis_id == analysis_id, attempts.c.engine_seconds.is_not(None))
    )
    with read(ledger) as conn:
        spent = [(row.work, row.engine_seconds) for row in conn.execute(query)]
    busy = sum(seconds for _, seconds in spent)
    science = sum(seconds for work, seconds in spent if work not in ("sample", "score"))
    return 1.0 - busy / wall, science / wall


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
    against="the engine's own seconds of the same run, and an idle service",
    run=run,
)
