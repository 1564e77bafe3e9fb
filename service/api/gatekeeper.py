"""The door: who asks, whether they may, and a record of what they changed; closed unless named open."""

from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ledger import audit
from ledger.database import write
from ledger.errors import database_reason
from service.api.problems import answer_of
from service.auth.authenticate import Authenticate, authenticator
from service.auth.caller import OPEN_CALLER, Caller
from service.auth.caller import Scope as Right
from service.errors import ApiError, Forbidden, TooManyRequests, Unavailable
from service.limits.headers import rate_headers, retry_after
from service.limits.rate import Standing
from service.resources import Resources

OPEN_PATHS: Final = frozenset({"/livez", "/readyz", "/openapi.json", "/docs"})
"""Health is asked by machines that hold no key; the contract is public."""

ADMIN_PREFIXES: Final = ("/v1/audit", "/v1/webhooks")
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

log = structlog.get_logger(__name__)


class Gatekeeper:
    """Puts the caller into the request's state; a route never runs for somebody who may not."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._authenticate: Authenticate | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve or refuse one request."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self.app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        resources: Resources = scope["app"].state.resources
        try:
            caller, standing = await self._admit(resources, Headers(scope=scope))
        except ApiError as error:
            await answer_of(error, state.get("request_id"))(scope, receive, send)
            return
        if standing is not None:
            send = _telling(send, standing)
        try:
            _within(standing)
            _require(caller, needed(scope["method"], scope["path"]))
        except ApiError as error:
            await answer_of(error, state.get("request_id"))(scope, receive, send)
            return
        state["caller"] = caller
        if scope["method"] in SAFE_METHODS:
            await self.app(scope, receive, send)
        else:
            await self.app(scope, receive, _recorded(scope, send, resources, caller))

    async def _admit(self, resources: Resources, headers: Headers) -> tuple[Caller, Standing | None]:
        if resources.settings.auth == "open" and not resources.rates.limit:
            return OPEN_CALLER, None  # neither database nor Redis to ask, so no turn in the thread pool
        return await run_in_threadpool(self._ask, resources, headers)

    def _ask(self, resources: Resources, headers: Headers) -> tuple[Caller, Standing | None]:
        caller = self._caller(resources, headers)
        return caller, resources.rates.take(caller.tenant, caller.actor)

    def _caller(self, resources: Resources, headers: Headers) -> Caller:
        if self._authenticate is None:
            self._authenticate = authenticator(resources.settings, resources.engine)
        try:
            return self._authenticate(headers.get("authorization"))
        except SQLAlchemyError as error:
            raise Unavailable("the database is away; try again shortly") from error


def needed(method: str, path: str) -> Right:
    """The scope a request takes."""
    if any(path == prefix or path.startswith(f"{prefix}/") for prefix in ADMIN_PREFIXES):
        return "admin"
    return "read" if method in SAFE_METHODS else "write"


def _within(standing: Standing | None) -> None:
    if standing is not None and not standing.allowed:
        raise TooManyRequests(
            f"more than {standing.limit:,} requests in a minute; wait as long as `Retry-After` says, and "
            "follow an analysis by its events rather than by polling",
            headers=retry_after(standing.reset_seconds),
        )


def _telling(send: Send, standing: Standing) -> Send:
    """Sends an answer on with where the caller stands, behind what a route says of another quota."""

    async def telling(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in rate_headers(standing).items():
                headers[name] = ", ".join(filter(None, (headers.get(name), value)))
        await send(message)

    return telling


def _require(caller: Caller, right: Right) -> None:
    if right not in caller.scopes:
        raise Forbidden(f"this takes the scope `{right}`; the key or token has {_listed(caller)}")


def _listed(caller: Caller) -> str:
    return ", ".join(f"`{scope}`" for scope in sorted(caller.scopes)) or "none"


def _recorded(scope: Scope, send: Send, resources: Resources, caller: Caller) -> Send:
    """Sends an answer on once it is in the audit log: nothing is changed and answered unseen."""

    async def recording(message: Message) -> None:
        if message["type"] == "http.response.start":
            route = getattr(scope.get("route"), "path", None) or "unknown"
            await run_in_threadpool(
                _record, resources, caller, f"{scope['method']} {route}", scope, message["status"]
            )
        await send(message)

    return recording


def _record(resources: Resources, caller: Caller, action: str, scope: Scope, status: int) -> None:
    request_id = scope["state"].get("request_id", "")
    try:
        with write(resources.engine) as conn:
            audit.record(
                conn,
                tenant_id=caller.tenant,
                actor=caller.actor,
                action=action,
                target=scope["path"][:500],
                status=status,
                request_id=request_id,
            )
    except SQLAlchemyError as error:
        # What was done is done: refusing the answer now would make the client do it again.
        log.error("audit_lost", action=action, request_id=request_id, error=database_reason(error))
