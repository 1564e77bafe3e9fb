"""Request bodies: declared as JSON, of bounded length, and read strictly."""

from collections.abc import Callable, Coroutine
from email.message import Message
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope

from service.errors import InvalidJson, UnsupportedMediaType
from service.settings import Settings
from service.strict_json import parse
from service.uploads.bodies import pieces


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
    _require_json(request)
    content_pieces = pieces(request, max_bytes=settings.max_body_bytes, setting="TILTSCOPE_MAX_BODY_BYTES")
    raw = b"".join([piece async for piece in content_pieces])
    if not raw.strip():
        raise InvalidJson("the body is empty; send a JSON object")
    content = await run_in_threadpool(
        parse, raw, max_depth=settings.max_json_depth, max_faults=settings.max_listed_faults
    )
    return _ParsedRequest(request.scope, request.receive, raw, content)


def media_type_of(request: Request) -> str:
    """The body's media type without parameters; that of unknown bytes if the request has none."""
    return _content_type(request).get_content_type()


def _content_type(request: Request) -> Message:
    message = Message()
    message["content-type"] = request.headers.get("content-type") or "application/octet-stream"
    return message


def _require_json(request: Request) -> None:
    message = _content_type(request)
    subtype = message.get_content_subtype()
    is_json = message.get_content_maintype() == "application" and (
        subtype == "json" or subtype.endswith("+json")
    )
    charset = message.get_param("charset", "utf-8")
    if not is_json or str(charset).lower() not in {"utf-8", "utf8"}:
        raise UnsupportedMediaType("send the body as `Content-Type: application/json`, in UTF-8")
