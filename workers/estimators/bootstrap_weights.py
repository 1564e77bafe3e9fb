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
Vector = NDArray[np.float64]


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

    def means(self, x: Vector) -> tuple[Vector, Vector]:
        """The weighted mean of sorted values in each row, and the weight of the point beyond them.

        With W_k the sum of the first k weights, Σ w_i x_i = x_n W_n - Σ_{k<n} (x_{k+1} - x_k) W_k. Values
        that come again add no term, and those of short completions come again and again.

        Args:
            x: Values in ascending order. Shape ``(n,)``, n >= 1.

        Returns:
            Two of shape ``(RESAMPLES,)``; the means are of the n values with their weights as they are, which
            add up to less than 1.
        """
        steps = np.diff(x)
        rises = np.flatnonzero(steps)
        few = 2 * rises.size < steps.size
        means, beyond = [], []
        for sums in self.sums(x.size):
            below = steps[rises] @ sums[rises] if few else steps @ sums[:-1]
            means.append(x[-1] * sums[-1] - below)
            beyond.append(1.0 - sums[-1])
        return np.concatenate(means), np.concatenate(beyond)

    def sums(self, n: int) -> Iterator[Matrix]:
        """Sums of the first 1 to n weights of each row, in blocks of rows. Shapes ``(n, r)``."""
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
        self._held[n] = [np.ascontiguousarray(block) for block in self._drawn(n)]
        yield from self._held[n]

    def _drawn(self, n: int) -> Iterator[Matrix]:
        rng = np.random.default_rng((self._seed, n))
        step = max(1, BLOCK_CELLS // (n + 1))
        for start in range(0, RESAMPLES, step):
            rows = rng.standard_exponential((min(step, RESAMPLES - start), n + 1))
            rows /= rows.sum(axis=1, keepdims=True)
            yield np.cumsum(rows[:, :-1], axis=1).T
