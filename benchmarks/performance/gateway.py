"""What the gateway adds to its database work, and how fast it answers while an analysis runs."""

from pathlib import Path
from typing import Any

import httpx

from benchmarks.performance import wrk
from benchmarks.performance.benchmark import Benchmark
from benchmarks.performance.outcome import Figure, Outcome
from benchmarks.performance.polling import PAUSE_MS, Pair, pairs
from benchmarks.performance.servers import Server, bare_routes, gateway_alone
from benchmarks.performance.service import comparison, running
from benchmarks.performance.session import Session, Timed, Work, figure

PATH = "/v1/analyses"
CONNECTIONS = 8
ALIKE = ("kind", "status", "spec")
"""Fields in which both answers must agree beside progress and usage."""


def run(session: Session) -> Outcome:
    """Measure."""
    with (
        gateway_alone(session.scratch / "ours") as ours,
        bare_routes(session.scratch / "bare") as bare,
    ):
        body = whole_request(ours, session.scratch / "request.json")
        ids = same_work(session, ours, bare, body)
        reads = session.compare("reads", *(_reads(session, *one) for one in ids), blocks=4)
        submits = session.compare(
            "submits", *(_submits(session, server, body) for server in (ours, bare)), blocks=4
        )
    with running(session.scratch / "service") as service:
        looks = pairs(session, service)
    return Outcome(
        figures=(*_throughput("read", reads), *_throughput("submitted", submits), *_latency(looks)),
        notes=(
            "The shipped comparison of tiny-grpo with tiny-base on 22 prompts is read and submitted by `wrk` "
            f"over {CONNECTIONS} connections that stay open, to one process of the gateway and one of bare "
            "FastAPI routes: the same statements on an SQLite ledger with `synchronous=FULL`, the audit row "
            "in the same transaction, and nothing else. A process uses one core, and wrk the other.",
            "Polling: one connection reads the state of an analysis, with pauses of "
            f"{PAUSE_MS} ms on average, from the service that `tiltscope up` starts, with one worker; busy "
            "while that draws samples for another analysis.",
        ),
    )


def whole_request(ours: Server, file: Path) -> Path:
    """A request with every default filled in, so that both keep the same; its seed differs each time."""
    with httpx.Client(base_url=ours.url) as client:
        answer = client.post(PATH, json=comparison("tiny-grpo", "basin_tail", seed=SEED))
    whole: dict[str, Any] = answer.raise_for_status().json()["spec"]
    file.write_bytes(httpx.Request("POST", ours.url, json=whole).content.replace(str(SEED).encode(), b"SEED"))
    return file


SEED = 987_654_321
"""Found again in the text of a request, which has no other such number."""


def same_work(
    session: Session, ours: Server, bare: Server, body: Path
) -> tuple[tuple[Server, str], tuple[Server, str]]:
    """Submit once to each; what is written and what is read must be alike."""
    made, answers = [], []
    for server in (ours, bare):
        before = server.rows()
        with httpx.Client(base_url=server.url) as client:
            key = {"Idempotency-Key": "one", "Content-Type": "application/json"}
            content = body.read_bytes().replace(b"SEED", b"1")
            found = client.post(PATH, content=content, headers=key).raise_for_status().json()
            answers.append(client.get(f"{PATH}/{found['id']}").raise_for_status().json())
        made.append(
            {name: count - before[name] for name, count in server.rows().items() if count > before[name]}
        )
    session.check(
        "a submission writes the same rows",
        made[0] == made[1],
        ", ".join(f"{count} of {name}" for name, count in made[0].items()),
    )
    read = [
        {name: found[name] for name in ALIKE}
        | {name: found["progress"][name] for name in ("completed", "total")}
        | {"usage": found["usage"]}
        for found in answers
    ]
    session.check("a read finds the same", read[0] == read[1], f"status {answers[0]['status']}")
    return (ours, answers[0]["id"]), (bare, answers[1]["id"])


def _reads(session: Session, server: Server, analysis_id: str) -> Work:
    def work() -> float:
        url = f"{server.url}{PATH}/{analysis_id}"
        return wrk.send(url, seconds=_seconds(session), connections=CONNECTIONS).requests

    return work


def _submits(session: Session, server: Server, body: Path) -> Work:
    def work() -> float:
        url = f"{server.url}{PATH}"
        return wrk.send(url, seconds=_seconds(session), connections=CONNECTIONS, body=body).requests

    return work


def _seconds(session: Session) -> int:
    return session.size(2, 1)


def _throughput(what: str, timed: Timed) -> tuple[Figure, ...]:
    return (
        figure(f"{what} a second, over the bare route", timed.ratios, "blocks", from_clocks=True),
        figure(f"{what} a second", timed.ours, "blocks", unit="/s", from_clocks=True),
        figure(f"{what} a second by the bare route", timed.theirs, "blocks", unit="/s", from_clocks=True),
    )


def _latency(looks: list[Pair]) -> tuple[Figure, ...]:
    return (
        figure(
            "read p99 while an analysis runs over idle",
            [look.ratio for look in looks],
            "runs",
            at_most=1.5,
            from_clocks=True,
            holds_back="gateway, engine and reconciler share two cores with what sends the requests",
        ),
        figure("read p99, idle", [one.idle.p99_ms for one in looks], "runs", unit="ms", from_clocks=True),
        figure("the same, busy", [one.busy.p99_ms for one in looks], "runs", unit="ms", from_clocks=True),
        figure(
            "the same, of the running analysis",
            [one.running.p99_ms for one in looks],
            "runs",
            unit="ms",
            from_clocks=True,
        ),
        figure("read p50, idle", [one.idle.p50_ms for one in looks], "runs", unit="ms", from_clocks=True),
        figure("read p50, busy", [one.busy.p50_ms for one in looks], "runs", unit="ms", from_clocks=True),
    )


BENCHMARK = Benchmark(
    title="Requests a second of the gateway alone, and how fast it answers while an analysis runs",
    against="bare FastAPI routes that execute the same statements, and the idle service",
    run=run,
)
