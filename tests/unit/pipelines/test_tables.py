import itertools
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.pipelines.tables import (
    OUTCOMES,
    ROUND,
    SAMPLES,
    SCORES,
    PlanMismatchError,
    assert_planned,
    from_parquet,
    list_rows,
    lists,
    of_items,
    of_stream,
    to_parquet,
    together,
    with_rounds,
)


def outcomes(*rows):
    """Rows of (stream, prompt, index)."""
    return pa.Table.from_pylist(
        [
            {"prompt_index": p, "stream": s, "index": i, "outcome": "correct", "reward": 1.0, "detail": ""}
            for s, p, i in rows
        ],
        schema=OUTCOMES,
    )


def scores_row(**changes):
    row = {
        "prompt_index": 0,
        "stream": "candidate",
        "scorer": "reference",
        "index": 0,
        "logprob": -math.inf,
        "own_logprob": -0.1 - 2**-40,
        "token_logprobs": [-math.inf, -0.5],
        "token_kl": [math.inf, 0.25],
        "kl": math.inf,
        "entropy": 0.3,
        "zero_cause": "top_p",
        "max_token_diff": 1e-6,
    }
    return {**row, **changes}


def test_infinities_and_float64_survive_parquet():
    table = pa.Table.from_pylist([scores_row(), scores_row(index=1, token_kl=[])], schema=SCORES)
    assert from_parquet(to_parquet(table), SCORES).equals(table)


def test_no_encoding_of_floats_would_be_much_smaller():
    rng = np.random.default_rng(20261127)
    distinct = -rng.exponential(size=(3000, 6))
    for sums in (distinct, distinct[rng.integers(60, size=3000)]):
        table = pa.table({"kl": sums.sum(axis=1), "token_kl": pa.array(list(np.float32(sums)))})
        leaves = ("kl", "token_kl.list.element")
        sizes = []
        for encoding in ("BYTE_STREAM_SPLIT", "PLAIN"):
            sink = pa.BufferOutputStream()
            split = dict.fromkeys(leaves, encoding)
            pq.write_table(table, sink, compression="zstd", use_dictionary=False, column_encoding=split)
            sizes.append(sink.getvalue().size)
        assert len(to_parquet(table)) < 1.01 * min(sizes) < 0.99 * max(sizes)
        assert pq.read_table(pa.BufferReader(to_parquet(table))).equals(table)


@pytest.mark.parametrize("schema", [SAMPLES, OUTCOMES, SCORES])
def test_an_empty_artefact_keeps_its_kind(schema):
    assert from_parquet(to_parquet(schema.empty_table()), schema).num_rows == 0


def test_an_artefact_of_another_kind_is_refused():
    with pytest.raises(PlanMismatchError, match="has columns"):
        from_parquet(to_parquet(OUTCOMES.empty_table()), SCORES)


@given(st.permutations([("a", 0, 0), ("a", 0, 1), ("a", 1, 0), ("b", 0, 0), ("b", 1, 7)]), st.integers(0, 5))
def test_shard_order_does_not_matter(rows, cut):
    merged = together([outcomes(*rows[:cut]), outcomes(*rows[cut:])], OUTCOMES)
    keys = list(zip(*(merged[n].to_pylist() for n in ("stream", "prompt_index", "index")), strict=True))
    assert keys == sorted(rows)


def test_planned_rows_may_come_in_several_ranges():
    table = together([outcomes(("a", 1, 2), ("a", 1, 0), ("a", 0, 5), ("a", 1, 1))], OUTCOMES)
    assert_planned(table, {"a": [(1, 0, 2), (0, 5, 6), (1, 2, 3)]}, "outcomes")


@pytest.mark.parametrize(
    ("rows", "planned"),
    [
        ([("a", 0, 0)], {"a": [(0, 0, 2)]}),
        ([("a", 0, 0), ("a", 0, 0)], {"a": [(0, 0, 1)]}),
        ([("a", 0, 0), ("a", 0, 2)], {"a": [(0, 0, 2)]}),
        ([("a", 0, 0), ("b", 0, 0)], {"a": [(0, 0, 1)]}),
        ([], {"a": [(0, 0, 1)]}),
        ([("a", 0, 0), ("a", 0, 0)], {"a": [(0, 0, 1), (0, 0, 1)]}),
    ],
    ids=["missing", "twice", "foreign", "stream", "none", "planned twice"],
)
def test_any_other_set_of_rows_is_refused(rows, planned):
    with pytest.raises(PlanMismatchError):
        assert_planned(together([outcomes(*rows)], OUTCOMES), planned, "outcomes")


def test_log_probabilities_stay_float32():
    values = np.float32([-0.1, -1e-7])
    row = {
        "prompt_index": 0,
        "prompt_id": "a",
        "stream": "reference",
        "stream_key": "k",
        "index": 0,
        "token_ids": [1, 2],
        "logprobs": values.tolist(),
        "finish_reason": "eos",
        "text": "ab",
    }
    read = from_parquet(to_parquet(pa.Table.from_pylist([row], schema=SAMPLES)), SAMPLES)
    assert np.array_equal(np.float32(read["logprobs"].to_pylist()[0]), values)


def test_a_stream_is_found_in_any_table():
    rows = [("candidate", 0, 0), ("candidate", 1, 0), ("reference", 0, 0), ("reference", 1, 0)]
    for order in (rows, [rows[2], rows[0], rows[3], rows[1]]):
        found = of_stream(outcomes(*order), "reference")
        assert found["prompt_index"].to_pylist() == [0, 1]
        assert set(found["stream"].to_pylist()) == {"reference"}
        assert of_stream(outcomes(*order), "arm:hint").num_rows == 0
    assert of_stream(outcomes(), "reference").num_rows == 0


@given(st.lists(st.none() | st.lists(st.floats(-9, 9, width=32), max_size=4), max_size=6), st.integers(0, 3))
def test_lists_are_the_rows_of_a_column(rows, start):
    column = pa.chunked_array([rows[:2], rows[2:]], pa.list_(pa.float32())).slice(start)
    assert list_rows(column) == column.to_pylist()
    if column.null_count == 0:
        values, edges = lists(column)
        assert [values[a:b].tolist() for a, b in itertools.pairwise(edges)] == column.to_pylist()


@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6)), unique=True),
    items=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 3)), max_size=3),
)
def test_items_name_their_samples_in_the_order_of_the_table(rows, items):
    named = [(prompt, low, low + size) for prompt, low, size in items]
    table = outcomes(*(("reference", prompt, index) for prompt, index in rows))
    found = of_items(table, named)
    pairs = list(zip(found["prompt_index"].to_pylist(), found["index"].to_pylist(), strict=True))
    assert pairs == [(p, i) for p, i in rows if any(p == q and low <= i < high for q, low, high in named)]


SPANS = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 2), st.integers(0, 6), st.integers(0, 6)), max_size=6
)


@given(SPANS, st.sets(st.tuples(st.sampled_from("abc"), st.integers(0, 2), st.integers(0, 6))))
def test_rounds_are_those_of_the_shards_that_drew(spans, rows):
    drawing = [
        {"stream": s, "round": number, "items": [[p, low, high]]}
        for number, (s, p, low, high) in enumerate(spans)
    ]
    expected = {}
    for number, (s, p, low, high) in enumerate(spans):
        expected |= {(s, p, index): number for index in range(low, high)}
    found = with_rounds(together([outcomes(*rows)], OUTCOMES), drawing).to_pylist()
    assert [row[ROUND] for row in found] == [
        expected.get((row["stream"], row["prompt_index"], row["index"]), -1) for row in found
    ]
