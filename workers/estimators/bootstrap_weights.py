"""Weights of the Bayesian bootstrap, drawn once for every number of values."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

RESAMPLES: Final = 1999
#: Rows of one block hold about so many numbers, which bounds its memory to 4 MB.
BLOCK_CELLS: Final = 500_000
#: All weights that are kept, 32 MB: those of a size beyond it are drawn anew, block by block, as the same.
HELD_CELLS: Final = 4_000_000

Matrix = NDArray[np.float64]


class BootstrapWeights:
    """Weights uniform on the simplex (Rubin 1981), the same for every sample of one size.

    A row has one weight for each of n values and one for a point beyond them: exponentials over their sum.

    Estimates of equal n share their weights, and each keeps the interval it would have with weights of its
    own: a row depends on n and on the source of randomness, never on the values, so given the data an end is
    the same function of weights of the same law, and its coverage is the same. What changes is the joint law
    of several estimates, whose ends then carry one Monte Carlo error instead of independent ones. Intervals
    are combined by union bounds alone, which hold under any dependence.

    Args:
        rng: Read once, here: the weights of one size do not depend on which others were asked for.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._seed = int(rng.integers(2**63))
        self._held: dict[int, list[Matrix]] = {}

    def blocks(self, n: int) -> Iterator[Matrix]:
        """The `RESAMPLES` rows for n values, in blocks. Shapes ``(r, n + 1)``; each row sums to 1."""
        if n in self._held:
            self._held[n] = self._held.pop(n)  # the last that were asked for are let go last
            yield from self._held[n]
            return
        cells = RESAMPLES * (n + 1)
        if cells > HELD_CELLS:
            yield from self._drawn(n)
            return
        while self._held and cells + sum(RESAMPLES * (size + 1) for size in self._held) > HELD_CELLS:
            del self._held[next(iter(self._held))]
        self._held[n] = list(self._drawn(n))
        yield from self._held[n]

    def _drawn(self, n: int) -> Iterator[Matrix]:
        rng = np.random.default_rng((self._seed, n))
        step = max(1, BLOCK_CELLS // (n + 1))
        for start in range(0, RESAMPLES, step):
            rows = rng.standard_exponential((min(step, RESAMPLES - start), n + 1))
            rows /= rows.sum(axis=1, keepdims=True)
            yield rows
