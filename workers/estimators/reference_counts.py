"""Counts that upper ends and ``out`` may rest on."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from workers.numerics.checks import BoolVector, counts, mask


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceCounts:
    """Successes among the samples of one distribution: the reference, or one of its elicitation arms.

    Whole numbers only, so that no weighted sum passes for a count. For the candidate's own classes the same
    holds with its own samples.

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
