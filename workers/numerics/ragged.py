"""Rows of different lengths, kept end to end."""

from collections.abc import Iterable
from typing import NamedTuple, Self

import numpy as np

from workers.numerics.checks import FloatVector, IntVector


class Ragged(NamedTuple):
    """Rows of numbers.

    Attributes:
        values: The rows end to end. Shape ``(length,)``.
        edges: Where each row begins, from 0, and where the last one ends. Shape ``(rows + 1,)``.
    """

    values: FloatVector
    edges: IntVector

    @classmethod
    def of(cls, rows: Iterable[FloatVector]) -> Self:
        """Rows that were apart."""
        apart = [np.empty(0), *rows]
        lengths = [row.size for row in apart]
        return cls(np.concatenate(apart), np.cumsum(lengths, dtype=np.int64))

    @property
    def lengths(self) -> IntVector:
        """Numbers in each row. Shape ``(rows,)``."""
        return np.diff(self.edges)


def row_sums(values: FloatVector, edges: IntVector) -> FloatVector:
    """The sum of each row, in the very bits that the row alone would give; 0 of an empty one.

    Args:
        values: The rows end to end. Shape ``(length,)``.
        edges: Where each row begins, and where the last one ends. Shape ``(rows + 1,)``.
    """
    starts, lengths = edges[:-1], np.diff(edges)
    sums = np.zeros(starts.size)
    # Rows of one length are a matrix: `np.add.reduceat` would add each row in another order.
    for length in np.unique(lengths).tolist():
        rows = np.flatnonzero(lengths == length)
        sums[rows] = values[starts[rows, None] + np.arange(length)].sum(axis=1)
    return sums
