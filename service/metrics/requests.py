"""How many requests this process answered, and how fast."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Seconds: a read takes milliseconds; `Prefer: wait` takes up to a minute."""


class RequestMetrics:
    """Counts and latencies by method, route template and status.

    Labels come from closed sets: a method or a path that a caller made up is `other`, since every new value
    would be a time series for as long as this process lives.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("method", "route", "status")
        self._seconds = Histogram(
            "tiltscope_http_request_duration_seconds",
            "Time until an answer began; its count is the number of requests.",
            labels,
            buckets=BUCKETS,
            registry=registry,
        )
        self._broken = Counter(
            "tiltscope_http_requests_broken_total",
            "Requests that ended before an answer began: the caller left.",
            labels[:2],
            registry=registry,
        )

    def answered(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Count a request whose answer began after so many seconds."""
        self._seconds.labels(_known(method), route or "other", str(status)).observe(seconds)

    def broken(self, method: str, route: str | None) -> None:
        """Count a request that nobody waited for."""
        self._broken.labels(_known(method), route or "other").inc()


def _known(method: str) -> str:
    return method if method in METHODS else "other"
