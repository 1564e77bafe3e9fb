"""Rows of a grid that lie near to each other, and keep what they hold when they move apart."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workers.engines.lean_cache import empty_cache, gathered
from workers.engines.packed_columns import GAP_BYTES, PackedColumns, is_worthwhile

LAYERS, ROWS, HEADS = 3, 5, 2


@given(
    counts=st.lists(st.integers(1, 6), min_size=1, max_size=12),
    depth=st.sampled_from([1, 8, 32, 64, 128]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    longest=st.integers(0, 3),
)
def test_what_rows_hold_stays_and_gaps_are_small(counts, depth, dtype, longest):
    capacity = longest + sum(counts)
    like = torch.empty(0, dtype=dtype)
    packed = PackedColumns(like, LAYERS, ROWS, HEADS, depth, capacity, longest)
    want = torch.randn(LAYERS, 2, ROWS, HEADS, capacity, depth, dtype=dtype)
    for number in range(LAYERS):
        packed.layer(number)[...] = want[number, ..., :longest, :]
    used = longest
    for count in counts:
        packed.make_room(used, count)
        for number in range(LAYERS):
            span = slice(used, used + count)
            packed.layer(number)[..., span, :] = want[number, ..., span, :]
        used += count
        for number in range(LAYERS):
            held = packed.layer(number)
            assert torch.equal(held[..., :used, :], want[number, ..., :used, :])
            assert (held.shape[-2] - used) * depth * held.element_size() <= GAP_BYTES


def test_growing_asks_for_no_memory():
    packed = PackedColumns(torch.empty(0), LAYERS, ROWS, HEADS, 8, 40, 0)
    seen = set()
    for used in range(40):
        packed.make_room(used, 1)
        seen |= {packed.layer(number).data_ptr() for number in range(LAYERS)}
    assert len(seen) == LAYERS + 1


def test_more_than_the_capacity_is_refused():
    packed = PackedColumns(torch.empty(0), LAYERS, ROWS, HEADS, 8, 4, 0)
    packed.make_room(0, 4)
    with pytest.raises(ValueError, match="room for 4"):
        packed.make_room(4, 1)


@pytest.mark.parametrize(
    ("depth", "bytes_each", "longest"),
    [(32, 4, 256), (64, 4, 64), (64, 2, 256), (64, 8, 0), (128, 4, 0)],
)
def test_rows_are_moved_as_long_as_that_copies_little(depth, bytes_each, longest):
    assert [is_worthwhile(depth, bytes_each, capacity) for capacity in (longest, longest + 1)] == [
        longest > 0,
        False,
    ]


@pytest.mark.parametrize(("depth", "room", "packs"), [(32, 64, True), (32, 300, False), (128, 64, False)])
def test_a_grid_of_long_rows_or_large_heads_lays_out_all_its_room(depth, room, packs):
    prompt = empty_cache(torch.empty(0), LAYERS, HEADS, depth)
    prompt.make_room(1)
    prompt.columns.zero_()
    prompt.advance(1)
    grid = gathered([prompt], ROWS, room, packs=True)
    assert (grid.packed is not None) is packs
    grid.make_room(1)
    assert (grid.own(0).shape[-2] == room) is not packs
    assert grid.room == room
