"""Request bodies: declared as JSON, of bounded length, and read strictly."""

from collections.abc import Callable, Coroutine
from email.message import Message
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope

from service.errors import BodyTooLarge, InvalidJson, UnsupportedMediaType
from service.settings import Settings
from service.strict_json import parse


class StrictJsonRoute(APIRoute):
    """A route whose body, if it has one, is read by the rules of `service.strict_json`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, given the parsed body."""
        handler = super().get_route_handler()
        if self.body_field is None:
            return handler

        async def handle(request: Request) -> Response:
            return await handler(await _parsed(request))

        return handle


class _ParsedRequest(Request):
    """A request whose body has been read and parsed."""

    def __init__(self, scope: Scope, receive: Receive, raw: bytes, content: Any) -> None:
        super().__init__(scope, receive)
        self._raw = raw
        self._content = content

    async def body(self) -> bytes:
        return self._raw

    async def json(self) -> Any:
        return self._content


async def _parsed(request: Request) -> _ParsedRequest:
    settings: Settings = request.app.state.settings
    _require_json(request.headers.get("content-type"))
    raw = await _read(request, settings.max_body_bytes)
    if not raw.strip():
        raise InvalidJson("the body is empty; send a JSON object")
    content = await run_in_threadpool(
        parse, raw, max_depth=settings.max_json_depth, max_faults=settings.max_listed_faults
    )
    return _ParsedRequest(request.scope, request.receive, raw, content)


def _require_json(content_type: str | None) -> None:
    message = Message()
    message["content-type"] = content_type or "application/octet-stream"
    subtype = message.get_content_subtype()
    is_json = message.get_content_maintype() == "application" and (
        subtype == "json" or subtype.endswith("+json")
    )
    charset = message.get_param("charset", "utf-8")
    if not is_json or str(charset).lower() not in {"utf-8", "utf8"}:
        raise UnsupportedMediaType("send the body as `Content-Type: application/json`, in UTF-8")


async def _read(request: Request, limit: int) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    length = 0
    async for chunk in request.stream():
        length += len(chunk)
        if length > limit:
            raise _too_large(limit)
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large(limit: int) -> BodyTooLarge:
    # The rest of the body is not read, so that the connection is of no further use.
    return BodyTooLarge(
        f"the body has more than {limit:,} bytes (TILTSCOPE_MAX_BODY_BYTES); send fewer prompts at once",
        headers={"Connection": "close"},
    )
