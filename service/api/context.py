"""What surrounds every request: its id, safe headers, its log line, and an answer if all else fails."""

import re
import time
from typing import Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ledger.ids import new_id
from service.api.problems import problem_response
from service.metrics.requests import RequestMetrics

REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")

log = structlog.get_logger(__name__)


class RequestContext:
    """Outermost layer of ours.

    A caller's `X-Request-Id` is kept if it is harmless in a log, so that a trace spans services.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        sent = Headers(scope=scope).get("x-request-id", "")
        request_id = sent if REQUEST_ID.fullmatch(sent) else new_id("req")
        scope.setdefault("state", {})["request_id"] = request_id
        metrics: RequestMetrics = scope["app"].state.request_metrics
        status, began = 0, time.monotonic()

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                metrics.answered(scope["method"], _template(scope), status, time.monotonic() - began)
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                headers["X-Content-Type-Options"] = "nosniff"
                headers.setdefault("Cache-Control", "no-cache")
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        except Exception:
            log.exception("unhandled", request_id=request_id)
            if status:
                raise  # half a response is out: only breaking the connection tells the client
            answer = problem_response(
                request_id,
                status=500,
                code="internal_error",
                detail="something went wrong here; the log has it under this request_id",
            )
            await answer(scope, receive, send_with_headers)
        finally:
            route = _template(scope)
            took = round((time.monotonic() - began) * 1000, 1)
            if not status:
                metrics.broken(scope["method"], route)
            log.info(
                "request", method=scope["method"], route=route, status=status, ms=took, request_id=request_id
            )


def _template(scope: Scope) -> str | None:
    """The route's template, not the path: logs and metrics keep no ids that callers chose."""
    return getattr(scope.get("route"), "path", None)
