"""The three kinds of artefact, as Arrow tables, and how committed ones are read together."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from workers.errors import WorkerError
from workers.pipelines.shards import Item

SAMPLES = pa.schema(
    [
        ("prompt_index", pa.int32()),
        ("prompt_id", pa.string()),
        ("stream", pa.string()),
        ("stream_key", pa.string()),
        ("index", pa.int32()),
        ("token_ids", pa.list_(pa.int32())),
        ("logprobs", pa.list_(pa.float32())),
        ("finish_reason", pa.string()),
        ("text", pa.string()),
    ]
)
OUTCOMES = pa.schema(
    [
        ("prompt_index", pa.int32()),
        ("stream", pa.string()),
        ("index", pa.int32()),
        ("outcome", pa.string()),
        ("reward", pa.float64()),
        ("behaviour", pa.string()),
        ("detail", pa.string()),
    ]
)
SCORES = pa.schema(
    [
        ("prompt_index", pa.int32()),
        ("stream", pa.string()),
        ("scorer", pa.string()),
        ("index", pa.int32()),
        ("logprob", pa.float64()),
        ("own_logprob", pa.float64()),
        ("token_logprobs", pa.list_(pa.float32())),
        ("token_kl", pa.list_(pa.float32())),
        ("kl", pa.float64()),
        ("entropy", pa.float64()),
        ("zero_cause", pa.string()),
        ("max_token_diff", pa.float32()),
    ]
)


ROUND = "round"
"""Column of outcomes that are read together: the round in which a sample was drawn. Evidence from scores is
read at round ends, so it must be known which draws made a round."""

_ENCODINGS: Final = ("BYTE_STREAM_SPLIT", "PLAIN")
_TRIED_ROWS: Final = 2048


class PlanMismatchError(WorkerError):
    """The committed rows are not the planned set: some are missing, foreign or there twice."""

    code = "plan_mismatch"


def to_parquet(table: pa.Table, *, trying: bool = True) -> bytes:
    """Serialise with zstd.

    Args:
        table: What to write.
        trying: Whether to write each column of floats in whichever encoding makes it smaller. That takes two
            files a column: for many columns of few rows far more time than it saves room.
    """
    floating = [f for f in table.schema if trying and _is_floating(f.type)]
    return _written(table, {_leaf(f): _encoding(table.select([f.name])) for f in floating})


def _is_floating(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind.value_type if pa.types.is_list(kind) else kind))


def _leaf(field: pa.Field) -> str:
    return f"{field.name}.list.element" if pa.types.is_list(field.type) else field.name


def _encoding(column: pa.Table) -> str:
    """The encoding of a column of floats, by its first rows.

    Split by bytes, distinct numbers take less room; whole, those of completions that were drawn again and
    again do, because zstd finds the repeats.
    """
    rows, leaf = column.slice(0, _TRIED_ROWS), _leaf(column.schema.field(0))
    return min(_ENCODINGS, key=lambda encoding: len(_written(rows, {leaf: encoding})))


def _written(table: pa.Table, encodings: Mapping[str, str]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        compression="zstd",
        use_dictionary=[f.name for f in table.schema if pa.types.is_string(f.type)],
        column_encoding=dict(encodings),
    )
    return bytes(sink.getvalue())


def from_parquet(data: bytes, schema: pa.Schema) -> pa.Table:
    """Read an artefact, refusing one of another kind."""
    # `pq.read_table` would make a data set of it first, which takes as long as to read a small shard.
    table = pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)
    if not table.schema.equals(schema):
        raise PlanMismatchError(f"an artefact has columns {table.schema.names}, expected {schema.names}")
    return table


def of_stream(table: pa.Table, stream: str) -> pa.Table:
    """The rows of one stream, in their order; of a table sorted by `together` no row is copied."""
    chosen = np.flatnonzero(pa.compute.equal(table["stream"], stream).to_numpy())
    if chosen.size and chosen[-1] - chosen[0] + 1 > chosen.size:
        return table.take(chosen)
    return table.slice(int(chosen[0]) if chosen.size else 0, chosen.size)


def lists(column: pa.ChunkedArray) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """A column of lists of numbers as one array, and where each row begins; the last edge is its end.

    Shapes ``(elements,)`` and ``(rows + 1,)``.
    """
    lengths = pa.compute.list_value_length(column).to_numpy()
    values = pa.compute.list_flatten(column).to_numpy()
    edges = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths, dtype=np.int64)])
    return np.asarray(values, dtype=np.float64), edges


def list_rows(column: pa.ChunkedArray) -> list[Any]:
    """What `to_pylist` makes of a column of lists of numbers, in a fraction of its time."""
    if column.null_count:
        return list(column.to_pylist())
    values = pa.compute.list_flatten(column).to_numpy().tolist()
    edges = np.cumsum(pa.compute.list_value_length(column).to_numpy()).tolist()
    return [values[low:high] for low, high in itertools.pairwise([0, *edges])]


def of_items(samples: pa.Table, items: Iterable[Item]) -> pa.Table:
    """The samples that items name, in their order: a shard need not read all that its source drew."""
    found, wanted = _keys(samples), _expand(items)
    return samples if np.array_equal(found, wanted) else samples.filter(pa.array(np.isin(found, wanted)))


def with_rounds(outcomes: pa.Table, drawing: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Outcomes, sorted by `together`, with the round in which each sample was drawn; -1 where no shard did.

    Args:
        outcomes: Rows of `OUTCOMES`.
        drawing: The committed shards that drew, with `stream`, `round` and `items`.
    """
    numbers = np.full(outcomes.num_rows, -1, dtype=np.int32)
    streams = outcomes["stream"]
    first = {name: pa.compute.index(streams, name).as_py() for name in streams.unique().to_pylist()}
    keys = {name: _keys(of_stream(outcomes, name)) for name in first}
    for shard in drawing:
        stream = shard["stream"]
        for prompt, low, high in shard["items"] if stream in keys else ():
            edges = np.searchsorted(keys[stream], [_key(prompt, low), _key(prompt, high)])
            numbers[slice(*(first[stream] + edges))] = shard["round"]
    return outcomes.append_column(ROUND, pa.array(numbers))


def together(tables: Iterable[pa.Table], schema: pa.Schema) -> pa.Table:
    """Concatenate tables and sort by stream, prompt and sample, whatever order the shards came in."""
    merged = pa.concat_tables([schema.empty_table(), *tables])
    order = [("stream", "ascending"), ("prompt_index", "ascending"), ("index", "ascending")]
    return merged.sort_by(order)


def assert_planned(table: pa.Table, planned: Mapping[str, Sequence[Item]], what: str) -> None:
    """Check that a sorted table holds every planned (stream, prompt, sample) once, and nothing else.

    Raises:
        PlanMismatchError: it does not.
    """
    for stream in sorted({*planned, *table["stream"].unique().to_pylist()}):
        rows = of_stream(table, stream)
        got, wanted = _keys(rows), _expand(planned.get(stream, ()))
        if (wanted[1:] == wanted[:-1]).any():
            raise PlanMismatchError(f"{what} of {stream}: a sample is planned twice")
        if not np.array_equal(got, wanted):
            raise PlanMismatchError(
                f"{what} of {stream}: {len(got)} rows committed, {len(wanted)} planned, and the sets differ"
            )


def _keys(table: pa.Table) -> NDArray[np.int64]:
    """The (prompt, sample) of each row as one number, in the order of the pairs. Shape ``(rows,)``."""
    prompts, samples = (table[name].to_numpy().astype(np.int64) for name in ("prompt_index", "index"))
    return np.asarray(_key(prompts, samples), dtype=np.int64)


def _key(prompt: Any, sample: Any) -> Any:
    return (prompt << 32) + sample


def _expand(items: Iterable[Item]) -> NDArray[np.int64]:
    """The keys of all samples of some items, sorted."""
    keys = [np.arange(_key(prompt, low), _key(prompt, high)) for prompt, low, high in items]
    return np.sort(np.concatenate([np.empty(0, dtype=np.int64), *keys]))
