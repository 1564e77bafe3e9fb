# Generated from tiltscope/asynchronous by `make openapi`: change that, not this file.
"""Following an analysis to its end."""

import time
import time as clock
from collections.abc import Iterator

import httpx

from tiltscope.connection import SILENCE_SECONDS, TIMEOUT, Call, unreachable
from tiltscope.errors import UnavailableError, WaitTimeoutError
from tiltscope.server_events import Event, EventReader
from tiltscope.synchronous.transport import Transport


class Deadline:
    """When patience ends.

    Args:
        analysis_id: What is waited for.
        seconds: From now; None waits for ever.
    """

    def __init__(self, analysis_id: str, seconds: float | None) -> None:
        self._analysis_id = analysis_id
        self._seconds = seconds
        self._at = None if seconds is None else clock.monotonic() + seconds

    def left(self, at_most: float) -> float:
        """Seconds left, at most some.

        Raises:
            WaitTimeoutError: there are none.
        """
        if self._at is None:
            return at_most
        left = self._at - clock.monotonic()
        if left <= 0:
            raise WaitTimeoutError(
                f"{self._analysis_id} has not ended after {self._seconds:g} s; it goes on: "
                f"`tiltscope wait {self._analysis_id}`"
            )
        return min(left, at_most)


def events(transport: Transport, analysis_id: str, after: int, deadline: Deadline) -> Iterator[Event]:
    """Every event behind `after`, in order and once each, over as many connections as it takes."""
    reader = EventReader(after)
    silent = 0
    while True:
        before = reader.last_id
        try:
            yield from _connection(transport, analysis_id, reader, deadline)
        except httpx.TransportError as error:
            silent = silent + 1 if reader.last_id == before else 0
            if silent >= transport.retries.attempts:
                raise unreachable(transport.url, error) from error
        if reader.has_seen_all:
            return
        time.sleep(deadline.left(reader.retry_seconds))


def _connection(
    transport: Transport, analysis_id: str, reader: EventReader, deadline: Deadline
) -> Iterator[Event]:
    headers = {"Accept": "text/event-stream"} | (
        {"Last-Event-ID": str(reader.last_id)} if reader.last_id else {}
    )
    call = Call("GET", f"/v1/analyses/{analysis_id}/events", headers=headers)
    patience = httpx.Timeout(deadline.left(SILENCE_SECONDS), connect=TIMEOUT.connect)
    reader.connected()
    with transport.open(call, timeout=patience) as response:
        if response.status_code == 204:
            reader.has_seen_all = True
            return
        for line in response.iter_lines():
            if event := reader.feed(line):
                yield event
            deadline.left(0)


def polled(transport: Transport, analysis_id: str, deadline: Deadline) -> None:
    """Wait for the end by long polling: for services that have no event stream to spare."""
    while True:
        seconds = int(deadline.left(30))
        call = Call("GET", f"/v1/analyses/{analysis_id}", headers={"Prefer": f"wait={seconds}"})
        answer = (transport.send(call)).json()
        if answer["finished_at"] is not None:
            return
        time.sleep(deadline.left(0.5))


def ended(transport: Transport, analysis_id: str, deadline: Deadline) -> Iterator[Event]:
    """Events until the analysis has ended; without an event stream to spare, none until then.

    Raises:
        WaitTimeoutError: the deadline passed.
    """
    try:
        yield from events(transport, analysis_id, 0, deadline)
    except UnavailableError as error:
        if error.code != "too_many_streams":
            raise
        polled(transport, analysis_id, deadline)
