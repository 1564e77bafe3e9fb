"""Where the service is and how requests to it look."""

import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from tiltscope.errors import ContractError, UnreachableError

DEFAULT_URL = "http://127.0.0.1:8000"
TIMEOUT = httpx.Timeout(90.0, connect=10.0)
"""Seconds; above the longest `Prefer: wait`, so that a waiting call is never cut by its own client."""

SILENCE_SECONDS = 45.0
"""Without a line, heartbeats included, an event stream is dead and is opened anew."""

D = TypeVar("D", bound=BaseModel)


def service_url(url: str | None) -> str:
    """The address to call: as given, else TILTSCOPE_URL, else the embedded service's."""
    return (url or os.environ.get("TILTSCOPE_URL") or DEFAULT_URL).rstrip("/")


def client_version() -> str:
    """The version of this package; "0" in a checkout that is not installed."""
    try:
        return version("tiltscope")
    except PackageNotFoundError:
        return "0"


def default_headers(api_key: str | None) -> dict[str, str]:
    """Headers of every request."""
    key = api_key or os.environ.get("TILTSCOPE_API_KEY")
    agent = {"User-Agent": f"tiltscope-python/{client_version()}"}
    return agent | ({"Authorization": f"Bearer {key}"} if key else {})


@dataclass(frozen=True)
class Call:
    """One request, sent as often as it takes: what creates something keeps its idempotency key.

    Attributes:
        method: HTTP method.
        path: Path below the service's address.
        params: Query parameters; None leaves one out.
        json: A JSON body.
        content: A raw body.
        headers: Further headers.
    """

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    json: Any = None
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def arguments(self) -> dict[str, Any]:
        """What httpx takes."""
        found: dict[str, Any] = {"method": self.method, "url": self.path, "headers": dict(self.headers)}
        found["params"] = {name: value for name, value in self.params.items() if value is not None}
        if self.json is not None:
            found["json"] = self.json
        if self.content is not None:
            found["content"] = self.content
        return found


def key_header(key: str | None = None) -> dict[str, str]:
    """An `Idempotency-Key`: the caller's, else a new one."""
    return {"Idempotency-Key": f'"{key or uuid.uuid4()}"'}


def unreachable(url: str, error: httpx.TransportError) -> UnreachableError:
    """Nobody answered, and what to do about it."""
    return UnreachableError(
        f"no service answers at {url} ({str(error) or type(error).__name__}). Start one with `tiltscope up`, "
        "or name another with --url or TILTSCOPE_URL"
    )


def parsed(response: httpx.Response, document: type[D]) -> D:
    """A typed document from an answer.

    Raises:
        ContractError: it is not what the contract promises.
    """
    try:
        return document.model_validate_json(response.content)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(str(step) for step in fault["loc"]) or "the document"
        raise ContractError(
            f"{response.request.url} answered something that tiltscope {client_version()} cannot read "
            f"({place}: {fault['msg']}). If the service is newer: pip install -U tiltscope"
        ) from error
