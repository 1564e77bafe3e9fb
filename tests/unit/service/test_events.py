from typing import Any

import anyio
import pytest
from sqlalchemy import Engine

from ledger import events
from ledger.database import write
from service.settings import Settings


def parse(stream: str) -> list[dict[str, str]]:
    """Events of a stream; comments and fields without an event are left out."""
    found = []
    for block in stream.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "event" in fields:
            found.append(fields)
    return found


@pytest.fixture
def ended(gateway: Any, engine: Engine, submit: Any) -> str:
    path: str = submit()
    with write(engine) as conn:
        for number in range(5):
            events.append(conn, path.rpartition("/")[2], "progress", {"completed": number})
    gateway.post(f"{path}/cancel")
    return path


def test_a_stream_starts_at_the_first_event_and_ends_with_done(gateway: Any, ended: str) -> None:
    answer = gateway.get(f"{ended}/events")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = parse(answer.text)
    assert [event["id"] for event in found] == [str(n) for n in range(1, 9)]
    assert [event["event"] for event in found] == ["status", *["progress"] * 5, "status", "done"]
    assert found[1]["data"] == '{"completed":0}'
    assert answer.text.startswith("retry: ")


@pytest.mark.parametrize("last", range(8))
def test_a_stream_resumes_behind_the_last_event_seen(gateway: Any, ended: str, last: int) -> None:
    answer = gateway.get(f"{ended}/events", headers={"Last-Event-ID": str(last)})
    assert [int(event["id"]) for event in parse(answer.text)] == list(range(last + 1, 9))


@pytest.mark.parametrize("last", ["8", "9", "999999999999"])
def test_who_has_seen_everything_is_told_not_to_come_back(gateway: Any, ended: str, last: str) -> None:
    answer = gateway.get(f"{ended}/events", headers={"Last-Event-ID": last})
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "9" * 30, "٣".encode()])
def test_other_event_ids_are_refused(gateway: Any, ended: str, last: str) -> None:
    answer = gateway.get(f"{ended}/events", headers={"Last-Event-ID": last})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_header")
    assert answer.json()["errors"][0]["parameter"] == "Last-Event-ID"


class TestSmallBatches:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"event_batch": 2})

    def test_no_event_is_lost_between_batches(self, gateway: Any, ended: str) -> None:
        found = parse(gateway.get(f"{ended}/events").text)
        assert [int(event["id"]) for event in found] == list(range(1, 9))


class TestShortStreams:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"event_stream_seconds": 0.3, "event_heartbeat_seconds": 0.05})

    def test_a_silent_stream_beats_and_is_closed_in_time(self, gateway: Any, submit: Any) -> None:
        answer = gateway.get(f"{submit()}/events")
        assert [event["event"] for event in parse(answer.text)] == ["status"]
        assert "\n: still here\n" in answer.text


class TestFewStreams:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"max_event_streams": 1})

    def test_one_more_is_turned_away_and_an_ended_one_makes_room(self, gateway: Any, ended: str) -> None:
        slots: anyio.CapacityLimiter = gateway.app.state.event_streams
        assert gateway.get(f"{ended}/events").status_code == 200
        slots.acquire_on_behalf_of_nowait("another stream")
        answer = gateway.get(f"{ended}/events")
        assert (answer.status_code, answer.json()["code"]) == (503, "too_many_streams")
        assert answer.headers["retry-after"]
        slots.release_on_behalf_of("another stream")
        assert gateway.get(f"{ended}/events").status_code == 200
