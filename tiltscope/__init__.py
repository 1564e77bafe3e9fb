"""Measures whether post-training tilted a model or took it somewhere new.

The client of the service; `tiltscope --help` is its command line.
"""

from tiltscope.asynchronous.client import AsyncTiltscope
from tiltscope.errors import (
    AnalysisError,
    AuthenticationError,
    ConflictError,
    ContractError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    ServiceError,
    SetupError,
    TiltscopeError,
    UnavailableError,
    UnreachableError,
    UsageError,
    WaitTimeoutError,
)
from tiltscope.result import Result
from tiltscope.retries import Retries
from tiltscope.synchronous.client import Tiltscope

__all__ = [
    "AnalysisError",
    "AsyncTiltscope",
    "AuthenticationError",
    "ConflictError",
    "ContractError",
    "InvalidRequestError",
    "NotFoundError",
    "PermissionDeniedError",
    "RateLimitedError",
    "Result",
    "Retries",
    "ServiceError",
    "SetupError",
    "Tiltscope",
    "TiltscopeError",
    "UnavailableError",
    "UnreachableError",
    "UsageError",
    "WaitTimeoutError",
]
