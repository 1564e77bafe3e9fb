"""How many requests a caller may send: counted in Redis for all gateways, here while Redis is away."""

import math
import threading
import time
from dataclasses import dataclass
from typing import Final

import structlog
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis.exceptions import RedisError

WINDOW_SECONDS: Final = 60
PREFIX: Final = "tiltscope-rate"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a caller stands after a request.

    Attributes:
        allowed: Whether the request is within the limit.
        limit: Requests a minute.
        remaining: Requests left for now.
        reset_seconds: Until there is more than that again.
    """

    allowed: bool
    limit: int
    remaining: int
    reset_seconds: int


class RateLimiter:
    """Counts requests in a sliding window of a minute.

    Redis is no place of truth: without it each process counts for itself, so that a caller gets at most the
    limit times the number of gateways, and nobody is refused or kept waiting because a broker is away.

    Args:
        redis_url: Where all gateways count together.
        limit: Requests a minute; 0 is no limit.
        timeout_seconds: For connecting to Redis and each answer.
        pause_seconds: How long Redis is left alone after it failed.
    """

    def __init__(self, redis_url: str, *, limit: int, timeout_seconds: float, pause_seconds: float) -> None:
        self.limit = limit
        self._pause = pause_seconds
        self._away_until = -math.inf
        self._lock = threading.Lock()
        self._item = RateLimitItemPerMinute(max(limit, 1))
        self._alone = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._together = SlidingWindowCounterRateLimiter(
            RedisStorage(
                redis_url,
                key_prefix=PREFIX,
                socket_connect_timeout=timeout_seconds,
                socket_timeout=timeout_seconds,
            )
        )

    def take(self, *who: str) -> Standing | None:
        """Count a request of a tenant's key or token; None without a limit."""
        if not self.limit:
            return None
        if time.monotonic() >= self._away_until:
            try:
                return self._count(self._together, who)
            except RedisError as error:
                self._leave_alone(error)
        return self._count(self._alone, who)

    def _count(self, counter: SlidingWindowCounterRateLimiter, who: tuple[str, ...]) -> Standing:
        allowed = counter.hit(self._item, *who)
        stats = counter.get_window_stats(self._item, *who)
        reset = max(1, math.ceil(stats.reset_time - time.time()))
        return Standing(allowed, self.limit, max(0, stats.remaining), min(reset, WINDOW_SECONDS))

    def _leave_alone(self, error: RedisError) -> None:
        with self._lock:
            self._away_until = time.monotonic() + self._pause
        log.warning("rates_counted_alone", error=type(error).__name__)
