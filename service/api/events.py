"""The route of /v1/analyses/{id}/events."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Depends, Header, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from api_schemas.problems import FieldProblem
from service.analyses import follow
from service.api.dependencies import AnalysisId, ResourcesDep
from service.errors import InvalidHeader, Unavailable
from service.resources import Resources

router = APIRouter(prefix="/v1/analyses/{analysis_id}", tags=["analyses"])

RECONNECT_MS = 2_000
"""What `retry:` asks of clients: an analysis runs for minutes, so that this delays nothing."""

_NO_MORE: dict[int | str, dict[str, Any]] = {
    204: {"description": "The analysis has ended and every event was seen: do not come back."}
}


async def _start(
    analysis_id: AnalysisId,
    resources: ResourcesDep,
    last_event_id: Annotated[
        str | None, Header(alias="Last-Event-ID", description="Replay the events behind this one.")
    ] = None,
) -> int:
    seen = (last_event_id or "0").strip()
    if not seen.isdecimal() or not seen.isascii() or len(seen) > 18:
        fault = FieldProblem(detail="take the `id` of an event of this stream", parameter="Last-Event-ID")
        raise InvalidHeader("Last-Event-ID takes the integer id of an event", errors=[fault])
    if not await run_in_threadpool(follow.has_more, resources, analysis_id, int(seen)):
        # The one answer after which a browser's EventSource stops coming back.
        raise HTTPException(204)
    return int(seen)


async def _slot(request: Request) -> AsyncIterator[None]:
    slots: anyio.CapacityLimiter = request.app.state.event_streams
    try:
        slots.acquire_on_behalf_of_nowait(request)
    except anyio.WouldBlock:
        raise Unavailable(
            "too many event streams are open; poll the analysis instead, or try again later",
            code="too_many_streams",
            headers={"Retry-After": "10"},
        ) from None
    try:
        yield
    finally:
        slots.release_on_behalf_of(request)


@router.get(
    "/events",
    operation_id="analyses_events",
    response_class=EventSourceResponse,
    responses=_NO_MORE,
    dependencies=[Depends(_slot)],
)
async def events(
    analysis_id: AnalysisId, resources: ResourcesDep, start: Annotated[int, Depends(_start)]
) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events `status`, `progress`, `round`, `warning`, `extended`, `done`; `done` is the last.

    Of an analysis that was extended, an earlier end is told as `ended`.
    """
    yield ServerSentEvent(retry=RECONNECT_MS)
    async for event in _follow(resources, analysis_id, start):
        yield event


async def _follow(resources: Resources, analysis_id: str, seen: int) -> AsyncIterator[ServerSentEvent]:
    settings = resources.settings
    began = spoke = anyio.current_time()
    while anyio.current_time() - began < settings.event_stream_seconds:
        batch = await run_in_threadpool(follow.next_batch, resources, analysis_id, seen)
        for event in batch.events:
            yield ServerSentEvent(raw_data=event.data, event=event.type, id=str(event.id))
            seen, spoke = event.id, anyio.current_time()
            if event.type == "done":
                return
        if batch.is_last:
            return
        if anyio.current_time() - spoke >= settings.event_heartbeat_seconds:
            yield ServerSentEvent(comment="still here")
            spoke = anyio.current_time()
        if not batch.events:
            await anyio.sleep(settings.event_poll_seconds)
