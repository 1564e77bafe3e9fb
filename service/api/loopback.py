"""Keeping web pages away from a gateway that trusts everyone on this machine."""

from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.problems import problem_response
from service.settings import is_loopback

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class LoopbackOnly:
    """Refuses what a page of another site makes a browser send.

    A name that an attacker points at 127.0.0.1 arrives in `Host` (DNS rebinding); a form or script of
    another site shows in `Sec-Fetch-Site`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve or refuse one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = getattr(Request(scope).state, "request_id", None)
        if not is_loopback(_name(headers.get("host", ""))):
            answer = problem_response(
                request_id,
                status=421,
                code="host_not_served",
                detail="this gateway answers to localhost only; behind a proxy that authenticates, set "
                "TILTSCOPE_ALLOW_OPEN=1",
            )
        elif scope["method"] not in SAFE_METHODS and headers.get("sec-fetch-site") == "cross-site":
            answer = problem_response(
                request_id,
                status=403,
                code="cross_site",
                detail="another site's page may change nothing here",
            )
        else:
            await self.app(scope, receive, send)
            return
        await answer(scope, receive, send)


def _name(host: str) -> str:
    """`Host` without its port and an IPv6 address's brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
