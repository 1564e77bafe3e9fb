"""The sign-flip test of a mean over prompts."""

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workers.numerics.checks import FloatVector, IntVector, finite_vector

_EXACT_PROMPTS = 16
_BLOCK_CELLS = 4_000_000


def sign_flip_test(differences: ArrayLike, rng: np.random.Generator, flips: int = 20_000) -> float:
    """One-sided p-value for mean > 0, against differences that are symmetric about zero.

    The share of sign patterns whose sum is at least the observed one: all 2^m of them for up to 16 non-zero
    differences, else ``(1 + count)/(1 + flips)`` of random ones. Its least value is 2^-m, so a level of 0.001
    needs at least 10 prompts that differ.

    Args:
        differences: One per prompt, finite. Shape ``(M,)``.
        rng: Source of randomness; not used in the exact case.
        flips: Random patterns otherwise.

    Returns:
        In (0, 1]; 1 without a non-zero difference.

    Raises:
        ValueError: A difference is not finite.
    """
    array = finite_vector(differences, "differences")
    array = array[array != 0.0]
    if array.size == 0:
        return 1.0
    # Sums of the same numbers in another order differ by rounding; a tie counts as reached.
    observed = float(array.sum()) - 1e-9 * float(np.abs(array).sum())
    if array.size <= _EXACT_PROMPTS:
        # A pattern is one of each half: 2 · 256 sums stand for 65,536 of them.
        first, second = _signed_sums(array[::2]), np.sort(_signed_sums(array[1::2]))
        missed = np.searchsorted(second, observed - first)
        return float(1.0 - missed.sum() / (first.size * second.size))
    return (1.0 + _random_flips(array, rng, flips, observed)) / (1.0 + flips)


def _signed_sums(array: FloatVector) -> FloatVector:
    """The sums of all sign patterns. Shape ``(2^m,)``."""
    sums: FloatVector = _sign_patterns(array.size) @ array
    return sums


@cache
def _sign_patterns(size: int) -> NDArray[np.float64]:
    """All patterns of so many signs; asked for hundreds of times an analysis. Shape ``(2^m, m)``."""
    bits = np.arange(2**size)[:, None] >> np.arange(size)
    return np.where(bits & 1, -1.0, 1.0)


def _random_flips(array: FloatVector, rng: np.random.Generator, flips: int, observed: float) -> int:
    reached, step = 0, max(1, _BLOCK_CELLS // array.size)
    # With signs 2b - 1 a sum is 2 Σ b_i x_i - Σ x_i: the bits need not be made signs.
    least = (observed + float(array.sum())) / 2
    for start in range(0, flips, step):
        bits: IntVector = rng.integers(0, 2, size=(min(step, flips - start), array.size))
        reached += int(np.count_nonzero(bits @ array >= least))
    return reached
