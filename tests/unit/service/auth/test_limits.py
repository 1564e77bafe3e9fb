"""How much a caller may do, and what it is told when that is over."""

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine, update

from ledger.database import write
from ledger.tables import analyses
from service.settings import Settings

RATE, OPEN, ROWS, QUEUED = 12, 3, 100, 4


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """No limit that the test does not name."""
    none = dict.fromkeys(("rate_limit", "max_open_analyses", "max_waiting_rows", "max_queued_analyses"), 0)
    wanted = getattr(request, "param", {})
    return Settings(**{**settings.model_dump(), **none, **wanted})


def limits(**wanted: int) -> Any:
    return pytest.mark.parametrize("settings", [wanted], indirect=True)


def post(gateway: Any, body: dict[str, Any], headers: dict[str, str]) -> Any:
    return gateway.post("/v1/analyses", json=body, headers=headers)


def pause(answer: Any) -> int:
    """`Retry-After`, at least 1."""
    seconds = int(answer.headers["retry-after"])
    assert seconds >= 1
    return seconds


@limits(rate_limit=RATE)
def test_each_key_has_its_own_rate(gateway: Any, alice: dict[str, str], bob: dict[str, str]) -> None:
    answers = [gateway.get("/v1/analyses", headers=alice) for _ in range(2 * RATE)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert {answer.status_code for answer in answers} == {200, 429}
    assert answers[0].headers["ratelimit-policy"] == f'"requests";q={RATE};w=60'
    standing = [re.fullmatch(r'"requests";r=(\d+);t=(\d+)', a.headers["ratelimit"]) for a in answers]
    left = [int(match[1]) for match in standing if match]
    assert len(left) == len(answers)
    assert left[:3] == [RATE - 1, RATE - 2, RATE - 3]
    assert left[-1] == 0
    problem = refused[0].json()
    assert (problem["code"], problem["status"]) == ("rate_limited", 429)
    assert refused[0].headers["content-type"] == "application/problem+json"
    assert pause(refused[0]) <= 72
    assert gateway.get("/v1/analyses", headers=bob).status_code == 200
    # Health is asked by machines, and never counted.
    assert gateway.get("/livez").status_code == 200
    assert "ratelimit" not in gateway.get("/livez").headers


@limits(max_open_analyses=OPEN)
def test_a_tenant_has_so_many_open(
    gateway: Any, request_body: dict[str, Any], alice: dict[str, str], bob: dict[str, str]
) -> None:
    accepted = [post(gateway, request_body, {**alice, "Idempotency-Key": f"k{i}"}) for i in range(OPEN)]
    assert {answer.status_code for answer in accepted} == {202}
    refused = post(gateway, request_body, alice)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_open_analyses")
    assert refused.headers["ratelimit-policy"] == f'"open-analyses";q={OPEN}'
    assert refused.headers["ratelimit"].startswith('"open-analyses";r=0;t=')
    assert 30 <= pause(refused) <= 36
    # A repetition takes no place, nor does a look at the plan, nor another tenant.
    assert post(gateway, request_body, {**alice, "Idempotency-Key": "k0"}).status_code == 202
    plan = gateway.post("/v1/analyses?validate_only=true", json=request_body, headers=alice)
    assert plan.status_code == 200
    assert post(gateway, request_body, bob).status_code == 202
    gateway.post(f"{accepted[0].headers['location']}/cancel", headers=alice)
    assert post(gateway, request_body, alice).status_code == 202


@limits(max_open_analyses=OPEN)
def test_many_at_once_never_take_more_places_than_there_are(
    gateway: Any, request_body: dict[str, Any], alice: dict[str, str]
) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: post(gateway, request_body, alice), range(16)))
    assert sorted(answer.status_code for answer in answers) == [202] * OPEN + [429] * (16 - OPEN)


@limits(max_waiting_rows=ROWS)
def test_a_tenant_has_so_much_waiting(
    gateway: Any, request_body: dict[str, Any], alice: dict[str, str], worker: Any
) -> None:
    post(gateway, request_body, alice)
    worker._commit(
        worker.claim(),
        next_shards=[{"idx": 0, "work": "sample", "stream": "reference", "items": [[0, 0, ROWS]]}],
        phase="sampling",
    )
    refused = post(gateway, request_body, alice)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_much_waiting")
    worker.claim()
    assert post(gateway, request_body, alice).status_code == 202


@limits(max_queued_analyses=QUEUED)
def test_a_long_queue_alone_is_no_overload_and_a_stuck_one_is(
    gateway: Any, request_body: dict[str, Any], alice: dict[str, str], bob: dict[str, str], engine: Engine
) -> None:
    for _ in range(QUEUED + 1):
        assert post(gateway, request_body, alice).status_code == 202
    with write(engine) as conn:
        conn.execute(update(analyses).values(created_at=1))
    refused = post(gateway, request_body, bob)
    assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
    assert 120 <= pause(refused) <= 144


@limits(rate_limit=RATE, max_open_analyses=1)
def test_what_a_route_says_stands_beside_the_rate(
    gateway: Any, request_body: dict[str, Any], alice: dict[str, str]
) -> None:
    post(gateway, request_body, alice)
    refused = post(gateway, request_body, alice)
    assert refused.headers["ratelimit-policy"] == f'"open-analyses";q=1, "requests";q={RATE};w=60'


class TestDefaults:
    def test_they_hold_where_requests_are_authenticated_only(self, tmp_path: Any) -> None:
        opened = Settings(home=tmp_path)
        closed = Settings(home=tmp_path, auth="required", key_pepper="p" * 32)
        told = Settings(home=tmp_path, rate_limit=7)
        assert [opened.limit("rate_limit"), told.limit("rate_limit")] == [0, 7]
        assert closed.limit("rate_limit") == closed.rate_limit > 0
        assert closed.limit("max_open_analyses") > 0 == opened.limit("max_open_analyses")
