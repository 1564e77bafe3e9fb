"""What every file of a benchmark offers."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.performance.outcome import Outcome
from benchmarks.performance.session import Session


@dataclass(frozen=True)
class Benchmark:
    """A comparison with something that is run, or counted, side by side.

    Attributes:
        title: What is measured.
        against: The comparator, and what is held equal.
        run: Measures it.
        gates: Whether no other ratio counts unless this one passes.
        needs_gpu: Whether it is left out where there is no GPU, unless it is named.
    """

    title: str
    against: str
    run: Callable[[Session], Outcome]
    gates: bool = False
    needs_gpu: bool = False
