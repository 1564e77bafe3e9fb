"""Requests that are repeated, after a crash and at once."""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
from gateway_process import BODY, PATIENCE, Process, submit
from sqlalchemy import Engine, func, select

from ledger.database import read
from ledger.tables import analyses


def test_a_request_repeated_after_a_crash_finds_its_analysis(
    gateway: Process, client: httpx.Client, engine: Engine
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


def test_fifty_requests_with_one_key_make_one_analysis(gateway: Process, engine: Engine) -> None:
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
