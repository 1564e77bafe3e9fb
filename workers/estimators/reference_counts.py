"""Counts that upper ends and ``out`` may rest on: one side's own samples, and never the other's.

The asymmetry rule is a matter of types. What lowers an upper end of the reference takes `ReferenceCounts`;
the candidate's own classes take `CandidateCounts`; scored draws are a `ScoredRound`. None passes for another,
and an `UpperEnd` is made by `upper_end` alone, so that no minimum over other numbers passes for one.
"""

from dataclasses import dataclass
from typing import NewType, Self, TypeVar

import numpy as np

from workers.estimators.counts import success_upper_bound
from workers.numerics.checks import BoolVector, counts, mask

UpperEnd = NewType("UpperEnd", float)
"""An upper bound of a chance of success, from the own samples of the side it is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SideCounts:
    """Successes among the samples of one distribution; use one of the two subclasses, which say whose.

    Whole numbers only, so that no weighted sum passes for a count.

    Attributes:
        pilot_successes: Successes in the pilot.
        pilot_n: Size of the pilot, fixed in advance.
        successes: Successes in all samples, the pilot's included.
        n: All samples, the pilot's included.

    Raises:
        ValueError: Counts that are not whole or contradict each other.
    """

    pilot_successes: int
    pilot_n: int
    successes: int
    n: int

    def __post_init__(self) -> None:
        """Check the counts against each other."""
        counts(self.pilot_successes, self.pilot_n)
        counts(self.successes, self.n)
        counts(self.successes - self.pilot_successes, self.n - self.pilot_n)

    @classmethod
    def of(cls, is_correct: BoolVector, pilot_n: int) -> Self:
        """Count outcomes in the order of their sample index, verifier errors left out.

        Args:
            is_correct: Booleans; weights are refused. Shape ``(n,)``.
            pilot_n: How many of the first belong to the pilot.
        """
        outcomes = mask(is_correct, "is_correct")
        if not 0 <= pilot_n <= outcomes.size:
            raise ValueError("the pilot is part of the samples")
        return cls(
            pilot_successes=int(np.count_nonzero(outcomes[:pilot_n])),
            pilot_n=pilot_n,
            successes=int(np.count_nonzero(outcomes)),
            n=outcomes.size,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceCounts(SideCounts):
    """Samples of the reference, or of one of its elicitation arms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateCounts(SideCounts):
    """Samples of the candidate."""


CountsT = TypeVar("CountsT", ReferenceCounts, CandidateCounts)


def upper_end(
    own: ReferenceCounts | CandidateCounts, *, alpha: float, threshold: float, adaptive: bool
) -> UpperEnd:
    """`success_upper_bound` of one side, from its own samples.

    Args:
        own: Samples of the side that the bound is about.
        alpha: Level, in (0, 1).
        threshold: A rate of interest, for the prior.
        adaptive: Whether the plan could have topped this prompt up.
    """
    return UpperEnd(
        success_upper_bound(
            own.pilot_successes,
            own.pilot_n,
            own.successes,
            own.n,
            alpha=alpha,
            threshold=threshold,
            adaptive=adaptive,
        )
    )
