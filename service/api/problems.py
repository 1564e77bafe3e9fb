"""Every error as a problem document (RFC 9457)."""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from api_schemas.problems import PROBLEM_MEDIA_TYPE, FieldProblem, Problem
from ledger.errors import StoreUnavailable, database_reason
from service.errors import ApiError, Unavailable, ValidationFailed
from service.pointers import resolve

log = structlog.get_logger(__name__)

CODES = {404: "route_not_found", 405: "method_not_allowed"}


def install(app: FastAPI) -> None:
    """Answer every exception that a route lets out with a problem."""
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(StoreUnavailable, _store_error)
    for away in (OperationalError, InterfaceError, PoolTimeout, DBAPIError):
        app.add_exception_handler(away, _database_error)


def problem_response(
    request_id: str | None,
    *,
    status: int,
    code: str,
    detail: str,
    errors: Sequence[FieldProblem] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem document as a response."""
    problem = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        request_id=request_id,
        errors=list(errors) or None,
    )
    content = problem.model_dump_json(exclude_none=True)
    return Response(content, status, headers, media_type=PROBLEM_MEDIA_TYPE)


async def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return answer_of(error, _request_id(request))


def answer_of(error: ApiError, request_id: str | None) -> Response:
    """A refusal as a response."""
    if error.status_code >= 500:
        log.error("api_error", code=error.code, detail=error.detail, request_id=request_id)
    return problem_response(
        request_id,
        status=error.status_code,
        code=error.code,
        detail=error.detail,
        errors=error.errors,
        headers=error.headers,
    )


async def _invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    listed = request.app.state.settings.max_listed_faults
    faults = error.errors()
    errors = [_fault(fault, error.body) for fault in faults[:listed]]
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    failed = ValidationFailed(f"{errors[0].detail}{more}", errors=errors)
    return await _api_error(request, failed)


def _fault(fault: Mapping[str, Any], body: Any) -> FieldProblem:
    place, *location = fault["loc"]
    detail = _sentence(fault)
    if place != "body":
        return FieldProblem(detail=detail, parameter=str(location[0]) if location else place)
    if fault["type"] == "union_tag_invalid":
        location.append(fault["ctx"]["discriminator"].strip("'"))
    return FieldProblem(detail=detail, pointer=resolve(body, location, missing=fault["type"] == "missing"))


def _sentence(fault: Mapping[str, Any]) -> str:
    if fault["type"] == "value_error":
        return str(fault["ctx"]["error"])
    if fault["type"] == "extra_forbidden":
        return f"there is no field or parameter `{fault['loc'][-1]}`; remove it, or check its spelling"
    if fault["type"] == "missing":
        return f"`{fault['loc'][-1]}` is required"
    return str(fault["msg"])


async def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code in {204, 304}:
        return Response(status_code=error.status_code, headers=error.headers)
    headers = dict(error.headers or {})
    detail = error.detail
    if error.status_code == 404:
        detail = "there is nothing at this path; /docs lists what there is"
    elif error.status_code == 405:
        allowed = _allowed_methods(request) | set(filter(None, headers.get("Allow", "").split(", ")))
        headers["Allow"] = ", ".join(sorted(allowed))
        detail = f"this path offers {headers['Allow']}"
    code = CODES.get(error.status_code) or re.sub(r"\W+", "_", HTTPStatus(error.status_code).phrase.lower())
    return problem_response(
        _request_id(request), status=error.status_code, code=code, detail=detail, headers=headers
    )


def _allowed_methods(request: Request) -> set[str]:
    """Methods of every route at this path: the router knows only those of the first that matches."""
    found: set[str] = set()
    for template, operations in request.app.openapi()["paths"].items():
        if compile_path(template)[0].match(request.url.path):
            found |= {method.upper() for method in operations}
    return found


async def _database_error(request: Request, error: Exception) -> Response:
    """503 for a database that is away; a wrong statement, which is a bug, goes on to become a 500."""
    away = isinstance(error, OperationalError | InterfaceError | PoolTimeout)
    if not away and not (isinstance(error, DBAPIError) and error.connection_invalidated):
        raise error
    log.error("database_unavailable", error=database_reason(error), request_id=_request_id(request))
    unavailable = Unavailable(
        "the database is away; nothing was changed, so try again shortly",
        code="database_unavailable",
        headers={"Retry-After": str(request.app.state.settings.retry_after_seconds)},
    )
    return await _api_error(request, unavailable)


async def _store_error(request: Request, error: Exception) -> Response:
    """503 for a store that is full or away: nothing of what was to be stored is visible."""
    log.error("store_unavailable", error=str(error), request_id=_request_id(request))
    unavailable = Unavailable(
        "the store of files is full or away; nothing was changed, so try again later",
        code="store_unavailable",
        headers={"Retry-After": str(request.app.state.settings.retry_after_seconds)},
    )
    return await _api_error(request, unavailable)


def _request_id(request: Request) -> str | None:
    return getattr(request.state, "request_id", None)
