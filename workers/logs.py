"""Structured logs on stderr: one JSON object a line, ids and numbers only, never prompts or completions."""

import sys
import traceback

import structlog

from ledger.errors import database_reason


def configure_logs() -> None:
    """Send structlog's events to stderr as JSON."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )


def frames(error: BaseException) -> list[str]:
    """Where an error was raised and its type, without its message: messages quote prompts."""
    found = traceback.extract_tb(error.__traceback__)
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in found] + [database_reason(error)]
