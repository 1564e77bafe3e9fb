"""Identifiers that sort by the time they were made."""

import secrets
import time

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_id(prefix: str) -> str:
    """A fresh identifier such as ``anl_01J9…``.

    Args:
        prefix: What it names: ``anl``, ``shd``, ``ds``, ``imp``; joined by an underscore.

    Returns:
        The prefix and a ULID: 48 bits of Unix milliseconds, then 80 random bits, as 26
        characters of Crockford's base 32. Format: https://github.com/ulid/spec.
    """
    number = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    return f"{prefix}_" + "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))
