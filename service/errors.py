"""What a request can be refused for: one root, each class with its HTTP status and stable code."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from api_schemas.problems import FieldProblem


class ApiError(Exception):
    """The request cannot be served.

    Attributes:
        status_code: HTTP status.
        code: Stable; clients branch on it.
        detail: What happened and what to do about it.
        errors: Single faults and where they are.
        headers: Headers of the response.
    """

    status_code: ClassVar[int] = 500
    code: str = "internal_error"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        errors: Sequence[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or type(self).code
        self.errors = list(errors)
        self.headers = dict(headers or {})


class InvalidJson(ApiError):
    """The body is not JSON that every parser reads alike."""

    status_code, code = 400, "invalid_json"


class InvalidBody(ApiError):
    """The body is not what it says it is."""

    status_code, code = 400, "invalid_body"


class InvalidHeader(ApiError):
    """A request header has no meaning."""

    status_code, code = 400, "invalid_header"


class Unauthenticated(ApiError):
    """Nobody knows who asks."""

    status_code, code = 401, "unauthenticated"


class Forbidden(ApiError):
    """The caller is known and may not do this."""

    status_code, code = 403, "missing_scope"


class NotFound(ApiError):
    """There is no such thing, or it is somebody else's."""

    status_code, code = 404, "not_found"


class Conflict(ApiError):
    """The present state forbids it."""

    status_code, code = 409, "conflict"


class PreconditionFailed(ApiError):
    """What the caller saw is not the present state any more."""

    status_code, code = 412, "precondition_failed"


class PreconditionRequired(ApiError):
    """The change must say which state it is meant for."""

    status_code, code = 428, "precondition_required"


class BodyTooLarge(ApiError):
    """The body is longer than the gateway reads."""

    status_code, code = 413, "body_too_large"


class UnsupportedMediaType(ApiError):
    """The body is not declared as JSON."""

    status_code, code = 415, "unsupported_media_type"


class ValidationFailed(ApiError):
    """The request is well formed and cannot be carried out."""

    status_code, code = 422, "validation_failed"


class TooManyRequests(ApiError):
    """The caller has used what it may use for now."""

    status_code, code = 429, "rate_limited"


class Unavailable(ApiError):
    """Something the gateway needs is away for now."""

    status_code, code = 503, "unavailable"
