"""Telling workers of an accepted analysis."""

import json
import signal

import httpx
from gateway_process import Process, eventually, submit
from redis import Redis


def readiness(client: httpx.Client) -> dict[str, str]:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    return dict(answer.json()["checks"])


def test_an_accepted_analysis_wakes_a_worker(client: httpx.Client, redis: Redis) -> None:
    assert readiness(client)["redis"] == "ok"
    submit(client)
    message = json.loads(eventually(lambda: redis.lpop("tiltscope"), "a wake-up"))
    assert message["headers"]["task"] == "tiltscope.wake"
    assert message["headers"]["ignore_result"]


def test_without_redis_analyses_are_accepted_and_wake_ups_come_back_with_it(
    client: httpx.Client, redis_server: Process, redis: Redis
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
    gateway: Process, client: httpx.Client, redis_server: Process
) -> None:
    submit(client)
    redis_server.send(signal.SIGSTOP)
    for _ in range(100):  # more than wait for the broker at once
        submit(client)
    assert readiness(client)["redis"] == "degraded"
    gateway.send(signal.SIGTERM)
    assert gateway.wait() in {0, -signal.SIGTERM}  # uvicorn ends by the signal it handled
    redis_server.send(signal.SIGCONT)
