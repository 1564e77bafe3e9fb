import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiltscope import Retries, Tiltscope, UnreachableError, WaitTimeoutError
from tiltscope.server_events import EventReader


def lines_of(number, kind="progress", data=None):
    return [f"event: {kind}", f"data: {json.dumps(data or {'n': number})}", f"id: {number}", ""]


def text(*events):
    return "".join(line + "\n" for event in events for line in event).encode()


@given(
    total=st.integers(1, 12),
    cuts=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 3)), max_size=6),
)
def test_however_the_stream_is_cut_each_event_comes_once_and_in_order(total, cuts):
    """Each connection starts up to three events before what was seen, and ends after some lines."""
    reader, seen = EventReader(), []
    for length, overlap in [*cuts, (10_000, 0)]:
        reader.connected()
        first = max(1, reader.last_id + 1 - overlap)
        lines = [line for number in range(first, total + 1) for line in lines_of(number)]
        seen += [event for line in [": beat", "retry: 5", *lines][:length] if (event := reader.feed(line))]
    assert [event.id for event in seen] == list(range(1, total + 1))
    assert all(event.data == {"n": event.id} for event in seen)
    assert reader.retry_seconds == 0.005


def test_comments_other_fields_and_events_without_a_number_are_skipped():
    reader = EventReader()
    lines = [": hello", "retry: soon", "data: {}", "", "id: x", "data: {}", "", *lines_of(1)]
    assert [event.id for line in lines if (event := reader.feed(line))] == [1]


def test_data_over_several_lines_is_one_body():
    reader = EventReader()
    lines = ["id: 1", 'data: {"a":', "data:1}", ""]
    assert [event.data for line in lines if (event := reader.feed(line))] == [{"a": 1}]


@pytest.fixture
def client(server, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with Tiltscope(server.url, retries=Retries(attempts=3)) as client:
        yield client


STREAM = {"Content-Type": "text/event-stream"}


def test_a_cut_stream_is_resumed_behind_the_last_event(server, client):
    done = lines_of(4, "done", {"status": "succeeded", "partial": False})
    server.answers = [
        (200, text(lines_of(1), lines_of(2)[:2]) + server.CUT, STREAM),
        (0, b""),
        (200, text(lines_of(2), lines_of(3)), STREAM),
        (200, text(done), STREAM),
    ]
    events = list(client.analyses.events("anl_1"))
    assert [event.id for event in events] == [1, 2, 3, 4]
    assert [headers.get("Last-Event-ID") for _, _, headers, _ in server.seen] == [None, "1", "1", "3"]


def test_nothing_more_to_come_is_no_error(server, client):
    server.answers = [(204, b"")]
    assert list(client.analyses.events("anl_1", after=9)) == []
    assert server.seen[0][2]["Last-Event-ID"] == "9"


def test_a_stream_that_only_breaks_is_given_up(server, client):
    server.answers = [(200, b": beat\n" + server.CUT, STREAM)] * 3
    with pytest.raises(UnreachableError):
        list(client.analyses.events("anl_1"))


def test_without_a_stream_to_spare_waiting_polls(server, client, analysis):
    full = {"title": "Service Unavailable", "detail": "too many", "code": "too_many_streams"}
    running = {**analysis, "status": "running"}
    ended = {**analysis, "status": "succeeded", "finished_at": "2026-01-01T00:00:09.000Z"}
    server.answers = [(503, full)] * 3 + [(200, running), (200, ended), (200, ended)]
    assert client.analyses.until_ended("anl_1").status == "succeeded"
    assert [headers.get("Prefer") for _, _, headers, _ in server.seen[3:]] == ["wait=30", "wait=30", None]


def test_the_time_to_wait_ends_and_says_how_to_go_on(server, client):
    with pytest.raises(WaitTimeoutError, match="tiltscope wait anl_1"):
        client.analyses.wait("anl_1", timeout=0)
    assert server.seen == []


def test_progress_is_told_to_a_function(server, client, analysis):
    ended = {**analysis, "status": "succeeded", "finished_at": "2026-01-01T00:00:09.000Z"}
    stream = text(
        lines_of(1, "status", {"status": "running", "phase": "planning"}),
        lines_of(2, "progress", {"phase": "sampling", "completed": 3, "total": 8}),
        lines_of(3, "round", {"round": 1, "shards": 2, "planned_rows": 8}),
        lines_of(4, "done", {"status": "succeeded", "partial": False}),
    )
    server.answers = [(200, stream, STREAM), (200, ended)]
    states = []
    client.analyses.until_ended("anl_1", progress=states.append)
    shown = [str(state) for state in states]
    assert shown == ["queued", "running", "sampling  3/8", "sampling  3/8", "succeeded"]
    assert states[-1].has_ended
