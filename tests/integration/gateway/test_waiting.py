"""Requests that wait: for an analysis to end, and for a locked database."""

import threading
import time

import httpx
from gateway_process import PATIENCE, eventually, submit
from sqlalchemy import Engine

from ledger.database import write


def test_a_submission_answers_when_the_analysis_ends(client: httpx.Client, engine: Engine) -> None:
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


def test_many_who_wait_leave_room_for_others(client: httpx.Client) -> None:
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


def test_a_lock_held_for_a_while_is_waited_for(client: httpx.Client, engine: Engine) -> None:
    answers: list[int] = []
    with write(engine):
        posting = threading.Thread(target=lambda: answers.append(submit(client).status_code))
        posting.start()
        time.sleep(1.0)
        assert answers == []
    posting.join()
    assert answers == [202]
