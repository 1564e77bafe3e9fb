"""What it gains that planning, judging and estimating have a host of their own beside the engine."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import psutil

from benchmarks.performance.benchmark import Benchmark
from benchmarks.performance.outcome import Outcome
from benchmarks.performance.service import Service, comparison, running
from benchmarks.performance.session import Session, figure
from benchmarks.performance.spans import shares
from ledger.database import connect
from ledger.states import Work

SHARD_TOKENS = 10_000
"""A fifth of the default, for several shards a round: within the only shard of a round nothing overlaps."""
SAMPLES = 384
JUDGED = {"kind": "math"}
"""By math-verify, which parses answers: judging then takes a share of the time that can be seen."""
OF_ITS_OWN = ("analysis_id", "usage")
"""What differs between two runs of one request."""


def run(session: Session) -> Outcome:
    """Measure."""
    with (
        _service(session.scratch / "beside", desk=True) as beside,
        _service(session.scratch / "turns", desk=False) as turns,
    ):
        session.check(*_alike(session, beside, turns))
        seeds = {True: iter(range(100, 1000)), False: iter(range(100, 1000))}
        ids: dict[bool, list[str]] = {True: [], False: []}

        def analysed(service: Service, *, desk: bool) -> Callable[[], float]:
            def work() -> float:
                ids[desk].append(service.analyse(_request(session, next(seeds[desk])), look=0.02))
                return 1.0

            return work

        timed = session.compare(
            "analyses a second", analysed(beside, desk=True), analysed(turns, desk=False), blocks=5
        )
        waits = {True: _waits(beside, ids[True]), False: _waits(turns, ids[False])}
        memory = _memory(beside) - _memory(turns)
    return Outcome(
        figures=(
            figure(
                "analyses a second, a host for the desk over taking turns",
                timed.ratios,
                "blocks",
                from_clocks=True,
                limit="1.4: the share of judging in turns",
                holds_back="judging and engine share two cores with gateway, reconciler and broker",
            ),
            figure(
                "share of the time in which the engine waits for judging",
                waits[True],
                "runs",
                unit="share",
                limit="the judging of a round's last shard, which the next plan waits for",
                from_clocks=True,
            ),
            figure("the same, taking turns", waits[False], "runs", unit="share", from_clocks=True),
            figure("memory that it takes", [memory / 2**20], "runs", unit="MiB"),
        ),
        notes=(
            f"tiny-grpo against tiny-base, 22 prompts, {session.size(SAMPLES, 16)} samples a prompt and side "
            f"by a fixed plan, judged by math-verify, shards of {SHARD_TOKENS:,} tokens, one worker, models "
            "warm; both services run, and one of them works. Times are the ledger's own. Within the only "
            "shard of a round nothing overlaps, nor does the report, which needs all.",
        ),
    )


def _service(home: Path, *, desk: bool) -> AbstractContextManager[Service]:
    return running(home, TILTSCOPE_DESK=str(desk), TILTSCOPE_SHARD_TOKENS=str(SHARD_TOKENS))


def _request(session: Session, seed: int) -> dict[str, Any]:
    pilot = session.size(SAMPLES, 16)
    budget = {"samples_per_prompt": pilot, "max_samples_per_prompt": pilot, "adaptive": False}
    return comparison("tiny-grpo", "basin_tail", signal=JUDGED, budget=budget, seed=seed)


def _alike(session: Session, *services: Service) -> tuple[str, bool, str]:
    """Whether the services report the same of the same request, rows and all."""
    found = []
    for service in services:
        analysis_id = service.analyse(_request(session, 1))
        document = service.result(analysis_id)
        kept = {name: value for name, value in document.items() if name not in OF_ITS_OWN}
        found.append((kept, service.rows(analysis_id)))
    same = all(one == found[0] for one in found)
    return "the same result either way", same, f"{len(found[0][1])} rows and the document"


def _waits(service: Service, ids: Sequence[str]) -> list[float]:
    """Shares of the time of analyses in which they are judged and nothing is drawn or scored."""
    ledger = connect(f"sqlite:///{service.home / 'ledger.sqlite3'}")
    return [shares(ledger, one)[Work.VERIFY] for one in ids]


def _memory(service: Service) -> int:
    """Bytes that a worker's hosts share with no other process, all of them together."""
    worker = service.embedded.child("worker-1").pid
    if worker is None:
        raise ValueError("no worker is running")
    hosts: Sequence[psutil.Process] = psutil.Process(worker).children(recursive=True)
    return sum(host.memory_full_info().uss for host in hosts)


BENCHMARK = Benchmark(
    title="What a host of its own for planning, judging and estimating gains",
    against="the same service with `TILTSCOPE_DESK=false`, where they take turns with the engine",
    run=run,
)
