"""What goes wrong, as exceptions that say what to do; each has the exit code a pipeline sees."""

from collections.abc import Mapping, Sequence
from typing import Any


class TiltscopeError(Exception):
    """A failure with a message for a person: what happened, and what to do.

    Attributes:
        exit_code: The status a pipeline sees; see `tiltscope --help`.
    """

    exit_code = 1


class UsageError(TiltscopeError):
    """Arguments, options or files that make no request."""

    exit_code = 2


class ServiceError(TiltscopeError):
    """The service answered with a problem (RFC 9457).

    Attributes:
        code: The problem's stable code: branch on this.
        status: The HTTP status.
        detail: What happened, in words.
        errors: Single faults `{detail, pointer | parameter}` of a request.
        request_id: What the service's log has it under.
        retry_after: Seconds after which trying again makes sense, if the service said so.
    """

    exit_code = 3

    def __init__(
        self,
        message: str,
        *,
        code: str,
        status: int,
        detail: str = "",
        errors: Sequence[Mapping[str, Any]] = (),
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.detail = detail
        self.errors = list(errors)
        self.request_id = request_id
        self.retry_after = retry_after


class InvalidRequestError(ServiceError):
    """The request is malformed or means nothing (400, 413, 415, 422); `errors` says where."""


class AuthenticationError(ServiceError):
    """The API key is missing, wrong, expired or revoked (401)."""


class PermissionDeniedError(ServiceError):
    """The API key may not do this (403)."""


class NotFoundError(ServiceError):
    """There is no such thing, or it is somebody else's (404)."""


class ConflictError(ServiceError):
    """The present state forbids it (409, 412), such as a result that is not ready."""


class RateLimitedError(ServiceError):
    """Too much at once (429); `retry_after` says when to come back."""


class UnavailableError(ServiceError):
    """The service cannot serve this now (502, 503, 504)."""


class UnreachableError(TiltscopeError):
    """No service answers at the address."""

    exit_code = 4


class ContractError(TiltscopeError):
    """The service answered something that this version of the client cannot read."""


class AnalysisError(TiltscopeError):
    """An analysis ended without a result.

    Attributes:
        analysis: The analysis object, if it is known.
    """

    exit_code = 5

    def __init__(self, message: str, analysis: Any = None) -> None:
        super().__init__(message)
        self.analysis = analysis


class WaitTimeoutError(AnalysisError):
    """The time to wait is over; the analysis goes on."""


class SetupError(TiltscopeError):
    """Something is missing on this machine; the message says what to install or change."""

    exit_code = 6


class StoppedError(TiltscopeError):
    """Somebody asked for an end before there was a beginning."""

    exit_code = 130
