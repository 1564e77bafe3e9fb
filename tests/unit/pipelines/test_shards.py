import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.pipelines.shards import FINALISE, blocks, sampling_round

ITEMS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 20), st.integers(0, 20)).map(
        lambda item: (item[0], min(item[1:]), max(item[1:]))
    ),
    max_size=6,
)


def rows(items):
    return [(prompt, index) for prompt, low, high in items for index in range(low, high)]


@given(ITEMS, st.integers(1, 13))
def test_blocks_cut_nothing_away_and_fill_up(items, most):
    found = blocks(items, most)
    assert [pair for block in found for pair in rows(block)] == rows(items)
    assert all(len(rows(block)) == most for block in found[:-1])
    assert all(1 <= len(rows(block)) <= most for block in found)


def test_a_block_needs_room():
    with pytest.raises(ValueError, match="at least one row"):
        blocks([(0, 0, 1)], 0)


def test_a_round_samples_then_verifies_and_scores_by_the_other_side():
    shards = sampling_round(
        {"reference": [(0, 0, 3)], "candidate": [(0, 0, 2)]},
        scored_by={"reference": ["candidate"], "candidate": ["reference"]},
        model_keys={"reference": "wp", "candidate": "wq"},
        max_rows={"reference": 2, "candidate": 2},
    )
    assert [s.idx for s in shards] == list(range(9))
    assert [s.work for s in shards] == ["sample", "verify", "score"] * 3
    assert [s.depends_on_idx for s in shards] == [None, 0, 0, None, 3, 3, None, 6, 6]
    assert [(s.stream, s.scorer) for s in shards if s.work == "score"] == [
        ("reference", "candidate"),
        ("reference", "candidate"),
        ("candidate", "reference"),
    ]
    assert [s.items for s in shards[::3]] == [((0, 0, 2),), ((0, 2, 3),), ((0, 0, 2),)]
    assert shards[0].model_keys == ("wp",)
    assert shards[1].model_keys == ()
    assert shards[8].model_keys == ("wq", "wp")


def test_messages_are_json_values_with_the_planned_rows():
    message = sampling_round(
        {"reference": [(3, 5, 9)]}, scored_by={}, model_keys={"reference": "w"}, max_rows={"reference": 9}
    )[0].to_message()
    assert message == {
        "idx": 0,
        "work": "sample",
        "stream": "reference",
        "scorer": None,
        "items": [[3, 5, 9]],
        "planned_rows": 4,
        "depends_on": None,
        "model_keys": ["w"],
    }
    assert FINALISE.to_message()["planned_rows"] == 0
