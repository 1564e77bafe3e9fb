"""Plain HTTP and JSON to the service."""

import json
import os
import uuid
from collections.abc import Iterator
from typing import Any

import httpx

from tiltscope.errors import ServiceError, UnreachableError

DEFAULT_URL = "http://127.0.0.1:8000"
TIMEOUT_SECONDS = 90.0
"""Above the longest `Prefer: wait`, so that a waiting call is never cut by its own client."""


def service_url(url: str | None) -> str:
    """The address to call: as given, else TILTSCOPE_URL, else the embedded service's."""
    return (url or os.environ.get("TILTSCOPE_URL") or DEFAULT_URL).rstrip("/")


class Service:
    """A service at an address; every failure is a `TiltscopeError` that says what to do."""

    def __init__(self, url: str | None = None) -> None:
        self.url = service_url(url)
        self._client = httpx.Client(base_url=self.url, timeout=TIMEOUT_SECONDS)

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def call(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, **kwargs: Any
    ) -> httpx.Response:
        """Send one request.

        Raises:
            ServiceError: the service refused; the message carries every pointer.
            UnreachableError: nobody answered.
        """
        try:
            response = self._client.request(method, path, headers=headers, **kwargs)
        except httpx.TransportError as error:
            raise UnreachableError(
                f"no service answers at {self.url} ({error}). Start one with `tiltscope up`, or name another "
                "with --url or TILTSCOPE_URL"
            ) from error
        if response.is_error:
            raise _service_error(response)
        return response

    def get(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """GET a JSON object."""
        document: dict[str, Any] = self.call("GET", path, **kwargs).json()
        return document

    def submit(self, request: dict[str, Any]) -> dict[str, Any]:
        """Create an analysis; a retry after a lost answer makes no second one."""
        key = str(uuid.uuid4())
        document: dict[str, Any] = self.call(
            "POST", "/v1/analyses", json=request, headers={"Idempotency-Key": f'"{key}"'}
        ).json()
        return document

    def pages(self, path: str, params: dict[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        """Every item of a list, page after page."""
        query = dict(params or {})
        while True:
            page = self.get(path, params=query)
            yield from page["data"]
            if not page["has_more"]:
                return
            query["after"] = page["next_cursor"]


def _service_error(response: httpx.Response) -> ServiceError:
    try:
        problem = response.json()
        lines = [f"{problem['title']}: {problem['detail']}"]
        lines += [f"  {fault['pointer'] or '/'}: {fault['detail']}" for fault in problem.get("errors") or ()]
        code = str(problem["code"])
    except (json.JSONDecodeError, KeyError, TypeError):
        lines, code = [f"HTTP {response.status_code} from {response.url}"], "unknown"
    return ServiceError("\n".join(lines), code=code, status=response.status_code)
