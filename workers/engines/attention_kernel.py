"""Attention of single tokens as one Triton kernel: a program for each row and head of keys.

Prompt and own tokens are walked in tiles with a running maximum and sum, as in FlashAttention (Dao et al.,
arXiv 2205.14135). A library's product for each row would have as many rows as heads share their keys, three
or seven, at the cost of a tile of 64.
"""

# Triton reads signatures itself, and knows no types of Python's.
# mypy: disable-error-code="untyped-decorator, no-untyped-def"

from typing import Final

import triton
import triton.language as tl
from torch import Tensor

_LEAST: Final = 16
"""Rows and depth that the smallest product of the hardware takes."""
_TILE: Final = 32
"""Keys read together."""
_WARPS: Final = 2


def attention_step(
    queries: Tensor,
    own: Tensor,
    starts: Tensor,
    cursor: Tensor,
    prompt: Tensor,
    lengths: Tensor,
    scaling: float,
) -> Tensor:
    """As `lean_steps.attention_step`, whose arguments these are."""
    rows, heads, depth = queries.shape
    key_heads = own.shape[2]
    group = heads // key_heads
    mixed = queries.new_empty(rows, heads, depth)
    _attend[(rows, key_heads)](
        queries,
        own,
        starts,
        cursor,
        prompt,
        lengths,
        mixed,
        *queries.stride()[:2],
        *own.stride()[:4],
        *prompt.stride()[:4],
        rows // prompt.shape[1],
        scaling,
        GROUP=group,
        PADDED_GROUP=max(_LEAST, triton.next_power_of_2(group)),
        DEPTH=depth,
        PADDED_DEPTH=max(_LEAST, triton.next_power_of_2(depth)),
        TILE=_TILE,
        num_warps=_WARPS,
    )
    return mixed


@triton.jit
def _attend(
    queries,
    own,
    starts,
    cursor,
    prompt,
    lengths,
    mixed,
    query_row,
    query_head,
    own_side,
    own_row,
    own_head,
    own_column,
    prompt_side,
    prompt_block,
    prompt_head,
    prompt_column,
    each,
    scaling,
    GROUP: tl.constexpr,
    PADDED_GROUP: tl.constexpr,
    DEPTH: tl.constexpr,
    PADDED_DEPTH: tl.constexpr,
    TILE: tl.constexpr,
):
    row, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    member, depth = tl.arange(0, PADDED_GROUP), tl.arange(0, PADDED_DEPTH)
    is_query = (member[:, None] < GROUP) & (depth[None, :] < DEPTH)
    place = queries + row * query_row + (head * GROUP + member[:, None]) * query_head + depth[None, :]
    query = tl.load(place, mask=is_query, other=0.0)
    top = tl.full([PADDED_GROUP], float("-inf"), tl.float32)
    total = tl.zeros([PADDED_GROUP], tl.float32)
    found = tl.zeros([PADDED_GROUP, PADDED_DEPTH], tl.float32)
    # The prompt first: its first token is seen by all, so that the maximum is finite ever after.
    block = row // each
    base = prompt + block * prompt_block + head * prompt_head
    top, total, found = _walk(
        query, base, prompt_side, prompt_column, 0, tl.load(lengths + block), scaling, top, total, found,
        DEPTH, PADDED_DEPTH, TILE,
    )  # fmt: skip
    base = own + row * own_row + head * own_head
    top, total, found = _walk(
        query, base, own_side, own_column, tl.load(starts + row), tl.load(cursor) + 1, scaling,
        top, total, found, DEPTH, PADDED_DEPTH, TILE,
    )  # fmt: skip
    found = found / total[:, None]
    place = (row * tl.num_programs(1) + head) * GROUP * DEPTH + member[:, None] * DEPTH + depth[None, :]
    tl.store(mixed + place, found.to(mixed.dtype.element_ty), mask=is_query)


@triton.jit
def _walk(
    query,
    base,
    side,
    stride,
    first,
    end,
    scaling,
    top,
    total,
    found,
    DEPTH: tl.constexpr,
    PADDED_DEPTH: tl.constexpr,
    TILE: tl.constexpr,
):
    depth = tl.arange(0, PADDED_DEPTH)
    for low in range(first, end, TILE):
        column = low + tl.arange(0, TILE)
        is_key = (column[:, None] < end) & (depth[None, :] < DEPTH)
        place = base + column[:, None] * stride + depth[None, :]
        keys = tl.load(place, mask=is_key, other=0.0)
        values = tl.load(place + side, mask=is_key, other=0.0)
        scores = tl.dot(query, tl.trans(keys), input_precision="ieee") * scaling
        scores = tl.where(column[None, :] < end, scores, float("-inf"))
        higher = tl.maximum(top, tl.max(scores, 1))
        weights = tl.exp(scores - higher[:, None])
        shrunk = tl.exp(top - higher)
        total = total * shrunk + tl.sum(weights, 1)
        mixed = tl.dot(weights.to(values.dtype), values, input_precision="ieee")
        found = found * shrunk[:, None] + mixed
        top = higher
    return top, total, found
