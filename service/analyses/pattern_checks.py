"""Whether RE2 takes a pattern, and what to do if it does not."""

import re
from typing import Final

import re2

PROGRAM_BYTES: Final = 8 << 20
"""Memory of a compiled pattern: what the verifiers allow, so that what is accepted here runs there."""


def pattern_fault(pattern: str) -> str | None:
    """Why RE2 refuses a pattern and what to do; None if it compiles."""
    options = re2.Options()
    options.max_mem = PROGRAM_BYTES
    options.log_errors = False
    try:
        re2.compile(pattern, options=options)
    except re2.error as error:
        reason = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else str(error)
        return f"RE2 refuses the pattern: {reason}. {_advice(pattern, reason)}"
    return None


def _advice(pattern: str, reason: str) -> str:
    if re.search(r"\(\?<?[=!]", pattern):
        return (
            "Lookaround is not offered, because matching it can take exponential time: match the surrounding "
            "text too and put the part that counts in group 1, as in `answer: ([0-9]+)`"
        )
    if reason.startswith("invalid escape sequence: \\") and reason[-1:].isdigit():
        return (
            "Backreferences are not offered, because matching them can take exponential time: spell the "
            "repeated text out"
        )
    if "too large" in reason or "bad repetition" in reason:
        return "Repeat fewer times: counts multiply the compiled pattern and end at 1,000"
    return "Its syntax is https://github.com/google/re2/wiki/Syntax"
