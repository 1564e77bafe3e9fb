"""All benchmarks, in the order in which they run: what gates the others comes first."""

from importlib import import_module

from benchmarks.performance.benchmark import Benchmark

NAMES: tuple[str, ...] = (
    "validity",
    "tail_probability",
    "reachability",
    "pass_curve",
    "divergence",
    "decode",
    "scoring",
    "lm_eval",
    "overhead",
    "overlap",
    "gateway",
    "adapters",
    "cuda",
    "scaling",
)


def load(name: str) -> Benchmark:
    """The benchmark of a file; imported when it is wanted, since some need torch and some a service."""
    found = import_module(f"benchmarks.performance.{name}").BENCHMARK
    if not isinstance(found, Benchmark):
        raise TypeError(f"{name}.BENCHMARK is no Benchmark")
    return found
