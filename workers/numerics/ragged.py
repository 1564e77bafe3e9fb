"""Rows of different lengths, kept end to end."""

import numpy as np

from workers.numerics.checks import FloatVector, IntVector


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
