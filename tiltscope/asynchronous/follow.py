"""Following an analysis to its end."""

import asyncio
import time as clock
from collections.abc import AsyncIterator

import httpx

from tiltscope.asynchronous.transport import Transport
from tiltscope.connection import SILENCE_SECONDS, TIMEOUT, Call, unreachable
from tiltscope.errors import UnavailableError, WaitTimeoutError
from tiltscope.server_events import Event, EventReader


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


async def events(
    transport: Transport, analysis_id: str, after: int, deadline: Deadline
) -> AsyncIterator[Event]:
    """Every event behind `after`, in order and once each, over as many connections as it takes."""
    reader = EventReader(after)
    silent = 0
    while True:
        before = reader.last_id
        try:
            async for event in _connection(transport, analysis_id, reader, deadline):
                yield event
        except httpx.TransportError as error:
            silent = silent + 1 if reader.last_id == before else 0
            if silent >= transport.retries.attempts:
                raise unreachable(transport.url, error) from error
        if reader.has_seen_all:
            return
        await asyncio.sleep(deadline.left(reader.retry_seconds))


async def _connection(
    transport: Transport, analysis_id: str, reader: EventReader, deadline: Deadline
) -> AsyncIterator[Event]:
    headers = {"Accept": "text/event-stream"} | (
        {"Last-Event-ID": str(reader.last_id)} if reader.last_id else {}
    )
    call = Call("GET", f"/v1/analyses/{analysis_id}/events", headers=headers)
    patience = httpx.Timeout(deadline.left(SILENCE_SECONDS), connect=TIMEOUT.connect)
    reader.connected()
    async with transport.open(call, timeout=patience) as response:
        if response.status_code == 204:
            reader.has_seen_all = True
            return
        async for line in response.aiter_lines():
            if event := reader.feed(line):
                yield event
            deadline.left(0)


async def polled(transport: Transport, analysis_id: str, deadline: Deadline) -> None:
    """Wait for the end by long polling: for services that have no event stream to spare."""
    while True:
        seconds = int(deadline.left(30))
        call = Call("GET", f"/v1/analyses/{analysis_id}", headers={"Prefer": f"wait={seconds}"})
        answer = (await transport.send(call)).json()
        if answer["finished_at"] is not None:
            return
        await asyncio.sleep(deadline.left(0.5))


async def ended(transport: Transport, analysis_id: str, deadline: Deadline) -> AsyncIterator[Event]:
    """Events until the analysis has ended; without an event stream to spare, none until then.

    Raises:
        WaitTimeoutError: the deadline passed.
    """
    try:
        async for event in events(transport, analysis_id, 0, deadline):
            yield event
    except UnavailableError as error:
        if error.code != "too_many_streams":
            raise
        await polled(transport, analysis_id, deadline)
