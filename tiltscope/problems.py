"""From an error response to the exception that says what to do."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import httpx

from tiltscope import errors
from tiltscope.retries import retry_after

BY_STATUS: dict[int, type[errors.ServiceError]] = {
    400: errors.InvalidRequestError,
    401: errors.AuthenticationError,
    403: errors.PermissionDeniedError,
    404: errors.NotFoundError,
    409: errors.ConflictError,
    412: errors.ConflictError,
    413: errors.InvalidRequestError,
    415: errors.InvalidRequestError,
    422: errors.InvalidRequestError,
    428: errors.InvalidRequestError,
    429: errors.RateLimitedError,
    502: errors.UnavailableError,
    503: errors.UnavailableError,
    504: errors.UnavailableError,
}
KEY_ADVICE = "pass a key by --api-key, TILTSCOPE_API_KEY or Tiltscope(api_key=...)"


def service_error(response: httpx.Response) -> errors.ServiceError:
    """The exception of an error response whose body has been read."""
    kind = BY_STATUS.get(response.status_code, errors.ServiceError)
    problem = _problem(response)
    faults = [fault for fault in problem.get("errors") or () if isinstance(fault, Mapping)]
    request_id = problem.get("request_id") or response.headers.get("X-Request-Id")
    pause = retry_after(response)
    return kind(
        "\n".join(_lines(response, problem, faults, request_id, pause)),
        code=str(problem.get("code", "unknown")),
        status=response.status_code,
        detail=str(problem.get("detail", "")),
        errors=faults,
        request_id=request_id,
        retry_after=pause,
    )


def _problem(response: httpx.Response) -> Mapping[str, Any]:
    try:
        problem = response.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        return {}
    return problem if isinstance(problem, dict) and "detail" in problem else {}


def _lines(
    response: httpx.Response,
    problem: Mapping[str, Any],
    faults: Iterable[Mapping[str, Any]],
    request_id: str | None,
    pause: float | None,
) -> Iterable[str]:
    if problem:
        yield f"{problem.get('title', response.reason_phrase)}: {problem['detail']}"
    else:
        yield f"HTTP {response.status_code} from {response.url}, which does not speak this service's language"
    for fault in faults:
        place = fault.get("parameter") or fault.get("pointer") or "/"
        yield f"  {place}: {fault.get('detail')}"
    if response.status_code == 401:
        yield f"  {KEY_ADVICE}"
    if pause is not None and response.status_code in {429, 503}:
        yield f"  try again in {pause:.0f} s"
    if response.status_code >= 500 and request_id:
        yield f"  request {request_id} in the service's log"
