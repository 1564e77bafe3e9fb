import asyncio
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random

import httpx
import pytest

from tiltscope import (
    AsyncTiltscope,
    ContractError,
    InvalidRequestError,
    RateLimitedError,
    Retries,
    ServiceError,
    Tiltscope,
    UnavailableError,
    UnreachableError,
)
from tiltscope.retries import retry_after

BUSY = {"title": "Service Unavailable", "detail": "too busy", "code": "busy"}


@pytest.fixture
def pauses(monkeypatch):
    """Seconds slept; none is."""
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


@pytest.fixture
def client(server, pauses):
    with Tiltscope(server.url, retries=Retries(attempts=4, random=Random(0))) as client:
        yield client


def test_a_problem_becomes_a_message_with_every_place(server, client):
    problem = {
        "title": "Unprocessable",
        "detail": "two faults",
        "code": "validation_failed",
        "errors": [
            {"pointer": "/policy/top_p", "detail": "too large"},
            {"parameter": "label", "detail": "no colon"},
        ],
        "request_id": "req_1",
    }
    server.answers = [(422, problem)]
    with pytest.raises(InvalidRequestError) as caught:
        client.analyses.submit({})
    assert (caught.value.code, caught.value.status, caught.value.request_id) == (
        "validation_failed",
        422,
        "req_1",
    )
    assert str(caught.value).splitlines() == [
        "Unprocessable: two faults",
        "  /policy/top_p: too large",
        "  label: no colon",
    ]
    assert len(server.seen) == 1


@pytest.mark.parametrize("body", [b"<html>bad gateway</html>", b"\xff", [1], {"title": "no detail"}])
def test_an_answer_that_is_no_problem_still_names_the_status(server, client, body):
    server.answers = [(500, body)]
    with pytest.raises(ServiceError, match="HTTP 500"):
        client.models.get("m")


def test_a_retry_keeps_its_key_and_its_body(server, client, pauses, analysis):
    server.answers = [(503, BUSY), (202, b"{" + server.CUT), (202, analysis)]
    assert client.analyses.submit({"kind": "support"}).id == "anl_1"
    keys = [headers["Idempotency-Key"] for _, _, headers, _ in server.seen]
    assert len(set(keys)) == 1
    assert keys[0].startswith('"')
    assert len(keys[0]) == 38
    assert {body for *_, body in server.seen} == {b'{"kind":"support"}'}
    assert len(pauses) == 2


def test_two_submissions_have_two_keys_unless_the_caller_says_otherwise(server, client, analysis):
    server.answers = [(202, analysis)] * 4
    for key in (None, None, "nightly-1", "nightly-1"):
        client.analyses.submit({}, idempotency_key=key)
    first, second, third, fourth = (headers["Idempotency-Key"] for _, _, headers, _ in server.seen)
    assert first != second
    assert third == fourth == '"nightly-1"'


def test_retry_after_is_waited_for_and_jitter_comes_on_top(server, client, pauses, analysis):
    server.answers = [(429, BUSY, {"Retry-After": "7"}), (200, analysis)]
    client.analyses.get("anl_1")
    assert 7 < pauses[0] <= 7.5


def test_a_retry_after_beyond_patience_is_raised_with_the_time(server, client, pauses):
    server.answers = [(429, BUSY, {"Retry-After": "3600"})]
    with pytest.raises(RateLimitedError, match="try again in 3600 s") as caught:
        client.analyses.get("anl_1")
    assert caught.value.retry_after == 3600
    assert pauses == []


def test_patience_ends(server, client, pauses):
    server.answers = [(503, BUSY)] * 4
    with pytest.raises(UnavailableError, match="too busy"):
        client.analyses.get("anl_1")
    assert len(pauses) == 3


def test_pauses_grow_and_differ_between_clients():
    error = httpx.ConnectError("refused")
    pauses = [
        [Retries(random=Random(seed)).pause(tries, error) for tries in range(1, 6)] for seed in range(200)
    ]
    ends = [max(column) for column in zip(*pauses, strict=True)]
    assert ends == sorted(ends)
    assert all(end <= 0.5 * 2**place for place, end in enumerate(ends))
    assert ends[-1] > 7
    assert len({tuple(row) for row in pauses}) == 200
    assert Retries(attempts=3).pause(3, error) is None


def test_retry_after_may_be_a_date():
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert 85 < retry_after(httpx.Response(503, headers={"Retry-After": later})) <= 90
    past = format_datetime(datetime.now(UTC) - timedelta(seconds=90), usegmt=True)
    assert retry_after(httpx.Response(503, headers={"Retry-After": past})) == 0
    for junk in ("soon", "", "-1", "１"):
        assert retry_after(httpx.Response(503, headers=[(b"Retry-After", junk.encode())])) is None


def test_nobody_there_is_said_at_once(pauses):
    with Tiltscope("http://127.0.0.1:1") as client, pytest.raises(UnreachableError, match="tiltscope up"):
        client.models.get("m")
    assert pauses == []


def test_a_service_that_was_there_is_waited_for(server, client, pauses, analysis):
    server.answers = [(200, analysis), (0, b""), (0, b""), (200, analysis)]
    client.analyses.get("anl_1")
    client.analyses.get("anl_1")
    assert len(pauses) == 2


def test_what_a_later_service_adds_is_no_fault_and_what_is_missing_is(server, client, analysis):
    newer = {**analysis, "status": "paused", "colour": "blue"}
    server.answers = [(200, newer), (200, {"id": "anl_1"})]
    found = client.analyses.get("anl_1")
    assert (found.status, found.colour) == ("paused", "blue")
    with pytest.raises(ContractError, match="pip install -U tiltscope"):
        client.analyses.get("anl_1")


def test_pages_are_followed_and_a_limit_ends_them(server, client, analysis):
    def page(first, last, cursor):
        data = [{**analysis, "id": f"anl_{number}"} for number in range(first, last)]
        return (200, {"object": "list", "data": data, "has_more": cursor is not None, "next_cursor": cursor})

    server.answers = [page(0, 100, "c1"), page(100, 130, None), page(0, 100, "c1"), page(100, 105, "c2")]
    assert [one.id for one in client.analyses.list(label="run:7")] == [f"anl_{n}" for n in range(130)]
    assert len(client.analyses.list(limit=105).all()) == 105
    assert [path.partition("?")[2] for _, path, *_ in server.seen] == [
        "label=run%3A7&limit=100",
        "label=run%3A7&limit=100&after=c1",
        "limit=100",
        "limit=5&after=c1",
    ]


def test_the_key_and_the_agent_are_sent(server, pauses, analysis, monkeypatch):
    server.answers = [(200, analysis)] * 3
    with Tiltscope(server.url, api_key="ts_given") as client:
        client.analyses.get("anl_1")
    monkeypatch.setenv("TILTSCOPE_API_KEY", "ts_env")
    monkeypatch.setenv("TILTSCOPE_URL", server.url + "/")
    with Tiltscope() as client:
        client.analyses.get("anl_1")
    monkeypatch.delenv("TILTSCOPE_API_KEY")
    with Tiltscope() as client:
        client.analyses.get("anl_1")
    sent = [headers.get("Authorization") for _, _, headers, _ in server.seen]
    assert sent == ["Bearer ts_given", "Bearer ts_env", None]
    assert server.seen[0][2]["User-Agent"].startswith("tiltscope-python/")


def test_a_download_is_whole_or_not_there(server, client, tmp_path):
    target = tmp_path / "samples.parquet"
    server.answers = [(200, b"half" + server.CUT), (200, b"whole")]
    with pytest.raises(UnreachableError):
        client.analyses.download("anl_1", "samples.parquet", target)
    assert list(tmp_path.iterdir()) == []
    client.analyses.download("anl_1", "samples.parquet", target)
    assert target.read_bytes() == b"whole"


def test_the_asynchronous_client_does_the_same(server, analysis):
    async def go():
        async with AsyncTiltscope(server.url, retries=Retries(base_seconds=0.001)) as client:
            return await client.analyses.submit({})

    server.answers = [(503, BUSY), (202, analysis)]
    assert asyncio.run(go()).id == "anl_1"
    first, second = (headers["Idempotency-Key"] for _, _, headers, _ in server.seen)
    assert first == second
