"""What a command says when it cannot go on."""


class TiltscopeError(Exception):
    """A failure with a message for a person: what happened, and what to do.

    Attributes:
        exit_code: The status a pipeline sees; see `tiltscope --help`.
    """

    exit_code = 1


class ServiceError(TiltscopeError):
    """The service answered with a problem (RFC 9457).

    Attributes:
        code: The problem's stable code.
        status: The HTTP status.
    """

    exit_code = 3

    def __init__(self, message: str, *, code: str, status: int) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class UnreachableError(TiltscopeError):
    """No service answers at the address."""

    exit_code = 4


class AnalysisError(TiltscopeError):
    """An analysis ended without a result."""

    exit_code = 5


class StoppedError(TiltscopeError):
    """Somebody asked for an end before there was a beginning."""

    exit_code = 130


class SetupError(TiltscopeError):
    """The embedded service cannot start here."""

    exit_code = 6
