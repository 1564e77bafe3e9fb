"""Families of prompts: the units whose independence an interval for a population rests on."""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workers.numerics.checks import FloatVector, finite_vector

LEAST_UNITS: Final = 6
"""Below this, Student's quantile for families exceeds 2.5 and the interval says mostly that they are few."""


def family_means(values: ArrayLike, families: ArrayLike | None) -> tuple[FloatVector, FloatVector]:
    """Sums and sizes of the resampled units: families, or the prompts themselves if None.

    Args:
        values: One number per prompt, finite. Shape ``(M,)``.
        families: One label per prompt. Shape ``(M,)``.

    Returns:
        Sum of the values and number of prompts per family. Shapes ``(F,)``.

    Raises:
        ValueError: Shapes that differ.
    """
    array = finite_vector(values, "values")
    if families is None:
        return array, np.ones(array.size)
    labels = np.array(families)
    if labels.shape != array.shape:
        raise ValueError("one family per value")
    _, member = np.unique(labels, return_inverse=True)
    sums: FloatVector = np.bincount(member, weights=array).astype(np.float64)
    return sums, np.bincount(member).astype(np.float64)


def family_totals(rows: ArrayLike, families: ArrayLike | None) -> tuple[NDArray[np.float64], FloatVector]:
    """Sums of rows and sizes of the resampled units, in an order that depends on the data alone.

    The names of families and the order of prompts must not decide which unit a draw picks.

    Args:
        rows: One row per prompt, finite. Shape ``(M, D)``.
        families: One label per prompt, or None where each prompt is a unit. Shape ``(M,)``.

    Returns:
        Sum of the rows and number of prompts of each unit. Shapes ``(F, D)`` and ``(F,)``.

    Raises:
        ValueError: Shapes that differ.
    """
    values = np.asarray(rows, dtype=np.float64)
    sums, sizes = values, np.ones(values.shape[0])
    if families is not None:
        labels = np.array(families)
        if values.ndim != 2 or labels.shape != values.shape[:1]:
            raise ValueError("one family per row")
        _, member = np.unique(labels, return_inverse=True)
        sizes = np.bincount(member).astype(np.float64)
        sums = np.zeros((sizes.size, values.shape[1]))
        np.add.at(sums, member, values)
    order = np.lexsort([sizes, *sums.T])
    return sums[order], sizes[order]


def linearised(values: ArrayLike, families: ArrayLike | None) -> FloatVector:
    """One value a family whose mean, and the spread of it, are those of the ratio of sums; sums by name.

    Args:
        values: One number per prompt, finite. Shape ``(M,)``.
        families: One label per prompt, or None where each prompt is a unit. Shape ``(M,)``.

    Returns:
        ``mean + F (S_f - mean m_f) / M``, S_f the sum and m_f the number of a family's prompts. Shape
        ``(F,)``.

    Raises:
        ValueError: Shapes that differ.
    """
    sums, sizes = family_means(values, families)
    if sums.size == 0 or bool((sizes == 1.0).all()):
        return sums if families is None else finite_vector(values, "values")
    mean = float(sums.sum() / sizes.sum())
    line: FloatVector = mean + (sums - mean * sizes) * (sums.size / sizes.sum())
    return line


def few_units(units: int, prompts: int) -> str:
    """Why an interval for a population of families is weak; empty where it is not.

    Args:
        units: Families; a prompt without one is a family of its own.
        prompts: Prompts.
    """
    if units >= LEAST_UNITS or units == prompts:
        return ""
    return f"{units} families say little about others: the population interval is as wide as that"


def cluster_error(values: ArrayLike, families: ArrayLike | None) -> float | None:
    """Cluster-robust standard error of a mean over prompts, sqrt(F/(F-1) Σ_f (Σ_i r_i)²)/M.

    Args:
        values: One number per prompt, finite. Shape ``(M,)``.
        families: One label per prompt, or None where prompts are independent. Shape ``(M,)``.

    Returns:
        None with one family, or where no value differs from another.
    """
    array = finite_vector(values, "values")
    sums, _ = family_means(array - array.mean(), families)
    if sums.size < 2 or np.ptp(array) == 0.0:
        return None
    return float(np.sqrt(sums.size / (sums.size - 1) * np.sum(sums**2)) / array.size)
