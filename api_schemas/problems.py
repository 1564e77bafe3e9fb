"""Errors on the wire: RFC 9457 problem details."""

from typing import Annotated

from pydantic import ConfigDict, Field

from api_schemas.base import Document

PROBLEM_MEDIA_TYPE = "application/problem+json"


class FieldProblem(Document):
    """One fault of a request and where it is: a place in the body, or a parameter."""

    detail: str
    pointer: Annotated[
        str | None,
        Field(description="JSON Pointer (RFC 6901) into the body.", examples=["/policy/temperature"]),
    ] = None
    line: Annotated[int | None, Field(description="Line of an uploaded file, from 1.")] = None
    parameter: Annotated[
        str | None, Field(description="Name of the query parameter, path parameter or header.")
    ] = None


class Problem(Document):
    """A problem (RFC 9457) with a stable code."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: Annotated[str, Field(description="Stable; branch on this.", examples=["validation_failed"])]
    request_id: str | None = None
    instance: str | None = None
    errors: list[FieldProblem] | None = None
