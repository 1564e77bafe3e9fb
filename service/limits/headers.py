"""Telling callers where they stand: `RateLimit` and `RateLimit-Policy`, and when to come back.

After draft-ietf-httpapi-ratelimit-headers-10: lists of quoted policy names, `q` a quota, `w` a window in
seconds, `r` what remains, `t` seconds until there is more.
"""

import math
import random
from collections.abc import Mapping
from typing import Final

from service.limits.rate import WINDOW_SECONDS, Standing

JITTER: Final = 0.2
"""Share by which pauses are stretched at random: callers refused together must not return together."""

_chance: Final = random.SystemRandom()


def rate_headers(standing: Standing) -> dict[str, str]:
    """Headers of every answer to a caller whose rate is limited."""
    return {
        "RateLimit-Policy": f'"requests";q={standing.limit};w={WINDOW_SECONDS}',
        "RateLimit": f'"requests";r={standing.remaining};t={standing.reset_seconds}',
    }


def quota_headers(policy: str, quota: int, seconds: float) -> dict[str, str]:
    """Headers of an answer to a caller who has used a quota that no window resets."""
    return {
        "RateLimit-Policy": f'"{policy}";q={quota}',
        "RateLimit": f'"{policy}";r=0;t={math.ceil(seconds)}',
        **retry_after(seconds),
    }


def retry_after(seconds: float) -> Mapping[str, str]:
    """`Retry-After` of at least so many seconds, stretched at random."""
    return {"Retry-After": str(math.ceil(seconds * (1 + JITTER * _chance.random())))}
