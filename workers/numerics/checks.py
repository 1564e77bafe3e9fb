"""Argument checks shared by the estimators; each raises ValueError and returns what it accepted."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatVector = NDArray[np.float64]
BoolVector = NDArray[np.bool_]
IntVector = NDArray[np.int64]


def open_unit(value: float, name: str) -> float:
    """`value` if 0 < value < 1."""
    if not 0.0 < value < 1.0:
        raise ValueError(f"{name} must lie strictly between 0 and 1, not {value}")
    return float(value)


def counts(successes: int, n: int) -> tuple[int, int]:
    """`(successes, n)` if they are whole and 0 <= successes <= n.

    Weighted or pooled sums are not counts: a value that is not whole is refused, not rounded.
    """
    if int(successes) != successes or int(n) != n:
        raise ValueError(f"counts must be whole numbers, not {successes} of {n}")
    if not 0 <= successes <= n:
        raise ValueError(f"successes must lie between 0 and n, not {successes} of {n}")
    return int(successes), int(n)


def vector(values: ArrayLike, name: str) -> FloatVector:
    """A float64 copy of shape ``(n,)`` without NaN or +inf; -inf passes (a log of zero)."""
    array = np.array(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name} must have one axis, not shape {array.shape}")
    if np.isnan(array).any() or np.isposinf(array).any():
        raise ValueError(f"{name} must not hold NaN or +inf")
    return array


def finite_vector(values: ArrayLike, name: str) -> FloatVector:
    """A float64 copy of shape ``(n,)``, all finite."""
    array = vector(values, name)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite")
    return array


def mask(values: ArrayLike, name: str) -> BoolVector:
    """A boolean copy of shape ``(n,)``; numbers are refused, so weights cannot pass for outcomes."""
    array = np.array(values)
    if array.ndim != 1 or (array.size and array.dtype != np.bool_):
        raise ValueError(f"{name} must be a vector of booleans")
    return array.astype(np.bool_)


def count_vectors(successes: ArrayLike, n: ArrayLike) -> tuple[IntVector, IntVector]:
    """Int64 copies of shape ``(m,)`` with 0 <= successes <= n elementwise."""
    c, total = np.array(successes), np.array(n)
    if c.ndim != 1 or c.shape != total.shape:
        raise ValueError(f"counts must be vectors of one shape, not {c.shape} and {total.shape}")
    if c.size and not (np.issubdtype(c.dtype, np.integer) and np.issubdtype(total.dtype, np.integer)):
        raise ValueError("counts must be integers")
    if (c < 0).any() or (c > total).any():
        raise ValueError("successes must lie between 0 and n")
    return c.astype(np.int64), total.astype(np.int64)
