"""The rules that keep callers apart and the gateway up, each broken once."""

from typing import Final

from benchmarks.mutation import Mutation

SERVICE: Final = "tests/unit/service/"

GATEWAY_MUTATIONS: Final = (
    Mutation(
        "who is refused together returns together",
        "service/limits/headers.py",
        "seconds * (1 + JITTER * _chance.random())",
        "seconds",
        SERVICE + "test_rate.py::test_pauses_differ_so_that_who_is_refused_together_does_not_return_together",
    ),
    Mutation(
        "nobody is served while the counter of requests is away",
        "service/limits/rate.py",
        "except RedisError as error:",
        "except ZeroDivisionError as error:",
        SERVICE + "test_rate.py::test_without_redis_each_counts_for_itself_and_nobody_waits",
    ),
    Mutation(
        "each gateway counts requests for itself",
        "service/limits/rate.py",
        "return self._count(self._together, who)",
        "return self._count(self._alone, who)",
        SERVICE + "test_rate.py::test_gateways_count_together",
    ),
)
