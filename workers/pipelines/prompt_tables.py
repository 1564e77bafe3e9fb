"""Outcomes and scores of one prompt: rows of the sorted tables, and their columns as arrays."""

import itertools

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workers.pipelines.tables import of_stream

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def by_prompt(table: pa.Table, stream: str, prompts: int) -> list[pa.Table]:
    """One slice a prompt; the table is sorted, so each is contiguous."""
    rows = of_stream(table, stream)
    edges = np.searchsorted(rows["prompt_index"].to_numpy(), np.arange(prompts + 1))
    return [rows.slice(low, high - low) for low, high in itertools.pairwise(edges)]


def before(rows: pa.Table, size: int) -> pa.Table:
    """The rows of a pilot; those of later draws follow it."""
    return rows.slice(0, _edge(rows, size))


def after(rows: pa.Table, size: int) -> pa.Table:
    """The rows of what was drawn beyond a pilot."""
    return rows.slice(_edge(rows, size))


def decided(judged: pa.Table) -> pa.Table:
    """The outcomes without verifier errors."""
    return kept(judged, pc.not_equal(judged["outcome"], "verifier_error").to_numpy())


def kept(rows: pa.Table, chosen: Bools) -> pa.Table:
    """The chosen rows; the table itself where that is all of them."""
    return rows if chosen.all() else rows.filter(pa.array(chosen))


def is_correct(judged: pa.Table) -> Bools:
    """Which outcomes are successes. Shape `(n,)`."""
    return np.asarray(pc.equal(judged["outcome"], "correct").to_numpy(zero_copy_only=False), dtype=np.bool_)


def is_in(rows: pa.Table, others: pa.Table) -> Bools:
    """Which samples of one prompt are among those of another table. Shape `(n,)`."""
    own, other = rows["index"].to_numpy(), others["index"].to_numpy()
    return np.ones(own.size, dtype=np.bool_) if np.array_equal(own, other) else np.isin(own, other)


def floats(table: pa.Table, column: str) -> Floats:
    """A column of numbers. Shape `(n,)`."""
    return np.asarray(table[column].to_numpy(), dtype=np.float64)


def _edge(rows: pa.Table, size: int) -> int:
    return int(np.searchsorted(rows["index"].to_numpy(), size))
