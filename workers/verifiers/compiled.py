"""Compiling patterns that come from outside."""

from typing import Any

import re2

from workers.errors import WorkerError


class PatternError(WorkerError):
    """RE2 refuses a pattern."""

    code = "invalid_pattern"


PROGRAM_BYTES = 8 << 20
"""Memory a compiled pattern may take: RE2's own default, named because counted repeats can reach it."""


def compile_pattern(pattern: str) -> Any:
    """Compile with RE2, which runs in time linear in the text whatever the pattern.

    Raises:
        PatternError: not a pattern, one that needs backtracking, or one too large.
    """
    options = re2.Options()
    options.max_mem = PROGRAM_BYTES
    options.log_errors = False
    try:
        return re2.compile(pattern, options=options)
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        raise PatternError(
            f"RE2 refuses the pattern: {reason}. Lookaround and backreferences are not offered, because "
            "matching them can take exponential time"
        ) from error
