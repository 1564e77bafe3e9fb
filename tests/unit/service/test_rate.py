"""One limit for many gateways, and one each while Redis is away."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from service.limits.headers import retry_after
from service.limits.rate import RateLimiter
from tiltscope.broker import free_port

LIMIT = 40
CALLER = ("tenant", "key:1")


def limiter(url: str) -> RateLimiter:
    return RateLimiter(url, limit=LIMIT, timeout_seconds=2.0, pause_seconds=60.0)


def allowed(limiters: list[RateLimiter], requests: int) -> int:
    """How many requests get through, spread over gateways and threads."""
    with ThreadPoolExecutor(8) as pool:
        standings = list(pool.map(lambda n: limiters[n % len(limiters)].take(*CALLER), range(requests)))
    return sum(standing.allowed for standing in standings if standing is not None)


def test_gateways_count_together(redis_url: str) -> None:
    # A slow machine may see a few places come free meanwhile; each alone would let LIMIT through.
    assert LIMIT <= allowed([limiter(redis_url) for _ in range(4)], 4 * LIMIT) < 2 * LIMIT


def test_without_redis_each_counts_for_itself_and_nobody_waits() -> None:
    away = [limiter(f"redis://127.0.0.1:{free_port()}/0") for _ in range(2)]
    assert 2 * LIMIT <= allowed(away, 6 * LIMIT) < 4 * LIMIT


def test_callers_are_counted_apart(redis_url: str) -> None:
    counter = limiter(redis_url)
    standings: list[Any] = [counter.take(t, "key:1") for t in ("a", "b")]
    assert [standing.remaining for standing in standings] == [LIMIT - 1, LIMIT - 1]


def test_no_limit_asks_nobody() -> None:
    free = RateLimiter("redis://127.0.0.1:1/0", limit=0, timeout_seconds=1.0, pause_seconds=1.0)
    assert free.take(*CALLER) is None


def test_pauses_differ_so_that_who_is_refused_together_does_not_return_together() -> None:
    pauses = [int(retry_after(1000.0)["Retry-After"]) for _ in range(200)]
    assert min(pauses) >= 1000
    assert max(pauses) <= 1200
    assert len(set(pauses)) > 50  # of 200 numbers; about 126 of 200 draws are distinct
