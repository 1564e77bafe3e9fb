"""Several gateways behind one address: a caller's rate is one, whichever of them it reaches."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import cycle, islice

import httpx
import pytest
from api_key import PEPPER, make_key
from gateway_process import PATIENCE, Process
from sqlalchemy import Engine

LIMIT = 20


@pytest.fixture
def clients(start_gateway: Callable[..., Process]) -> Iterator[list[httpx.Client]]:
    """Two gateways, each with a client of its own."""
    settings = {
        "TILTSCOPE_AUTH": "required",
        "TILTSCOPE_KEY_PEPPER": PEPPER,
        "TILTSCOPE_RATE_LIMIT": str(LIMIT),
        "TILTSCOPE_RATE_PAUSE_SECONDS": "600",
    }
    with ExitStack() as ending:
        gateways = [start_gateway(**settings) for _ in range(2)]
        yield [
            ending.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{one.port}", timeout=PATIENCE))
            for one in gateways
        ]


@pytest.fixture
def caller(engine: Engine) -> Callable[[str], dict[str, str]]:
    """Makes a key of a tenant, as the header that names it."""

    def make(tenant: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {make_key(engine, tenant, ['read'])}"}

    return make


def answers(clients: list[httpx.Client], headers: dict[str, str], count: int) -> list[httpx.Response]:
    """Of so many requests, sent to the gateways in turn."""
    return [client.get("/v1/analyses", headers=headers) for client in islice(cycle(clients), count)]


def left(answer: httpx.Response) -> int:
    found = re.fullmatch(r'"requests";r=(\d+);t=\d+', answer.headers["ratelimit"])
    assert found is not None
    return int(found[1])


def test_requests_to_either_count_together(
    clients: list[httpx.Client], caller: Callable[[str], dict[str, str]]
) -> None:
    alice, bob = caller("alice"), caller("bob")
    found = answers(clients, alice, 3 * LIMIT)
    assert [left(answer) for answer in found[:4]] == [LIMIT - 1, LIMIT - 2, LIMIT - 3, LIMIT - 4]
    statuses = [answer.status_code for answer in found]
    assert set(statuses) == {200, 429}
    # A slow machine may see a few places come free meanwhile; each alone would let LIMIT through.
    assert LIMIT <= statuses.count(200) < 2 * LIMIT
    assert {answer.status_code for answer in answers(clients, bob, 2)} == {200}


def test_without_redis_each_counts_alone_and_nobody_is_kept_out(
    clients: list[httpx.Client], caller: Callable[[str], dict[str, str]], redis_server: Process
) -> None:
    alice = caller("alice")
    assert {answer.status_code for answer in answers(clients, alice, LIMIT)} == {200}
    redis_server.kill()
    found = answers(clients, alice, 4)
    assert [answer.status_code for answer in found] == [200] * 4
    assert [left(answer) for answer in found] == [LIMIT - 1, LIMIT - 1, LIMIT - 2, LIMIT - 2]
