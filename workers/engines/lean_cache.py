"""Keys and values of rows that continue shared prompts: a prompt is held once for the rows of a block."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from workers.engines.packed_columns import PackedColumns, is_worthwhile

LEAST_ROOM: Final = 16
"""Columns that a full buffer grows by at least: one copy then pays for as many tokens."""


@dataclass
class LeanCache:
    """A grid of blocks of rows; the rows of a block continue one prompt.

    Every row's latest token stands in the latest column, so that a step writes one column whatever the ages
    of its rows; a younger row's columns begin later.

    Attributes:
        blocks: Prompts' keys and values, padded on the right. Shape ``(layers, 2, n, heads, p, d)``.
        block_lengths: Tokens of each block's prompt. Shape ``(n,)``.
        columns: Keys and values of each row's own tokens. Shape ``(layers, 2, n * r, heads, room, d)``; of a
            single layer, written over by the next, where the rows are extended once only.
        used: Columns written.
        starts: Each row's first own column. Shape ``(n * r,)``.
        cursor: `used` on the device, where steps are recorded and replayed; see `fix`. Shape ``(1,)``.
        packed: What holds the rows' own tokens instead of `columns`, where a CPU steps through them.
    """

    blocks: Tensor
    block_lengths: Tensor
    columns: Tensor
    used: int
    starts: Tensor
    cursor: Tensor | None = None
    packed: PackedColumns | None = None

    def __post_init__(self) -> None:
        self.has_even_blocks = bool((self.block_lengths == self.blocks.shape[-2]).all())
        self.has_even_rows = not bool(self.starts.any())

    @property
    def rows(self) -> int:
        """Rows, idle ones included."""
        return len(self.starts)

    @property
    def rows_per_block(self) -> int:
        """Rows that share a prompt."""
        return self.rows // self.blocks.shape[2]

    @property
    def room(self) -> int:
        """Columns that are still free."""
        capacity = self.columns.shape[-2] if self.packed is None else self.packed.capacity
        return capacity - self.used

    def get_seq_length(self) -> int:
        """Tokens of the longest row, its prompt included, as transformers' caches call it."""
        return self.blocks.shape[-2] + self.used

    def fix(self) -> None:
        """From now on steps are the same operations each: all columns are attended to, behind a mask."""
        # What memory held before may be NaN, which no weight of zero removes.
        self.columns[..., self.used :, :] = 0
        self.cursor = torch.full((1,), self.used, dtype=torch.long, device=self.starts.device)

    def attended(self, count: int) -> int:
        """Own columns that the next `count` tokens attend to, masked ones included."""
        return self.columns.shape[-2] if self.cursor is not None else self.used + count

    def seen(self, columns: Tensor) -> Tensor | None:
        """Which own columns the next token of each row sees; None if it is all. Shape ``(rows, columns)``."""
        if self.cursor is not None:
            return (columns >= self.starts.unsqueeze(-1)) & (columns <= self.cursor)
        return None if self.has_even_rows else columns >= self.starts.unsqueeze(-1)

    def write(self, layer: int, keys: Tensor, values: Tensor) -> None:
        """Keep keys and values of the tokens being fed. Shapes ``(rows, heads, count, d)``."""
        own = self.own(layer)
        if self.cursor is not None:
            own[0].index_copy_(2, self.cursor, keys)
            own[1].index_copy_(2, self.cursor, values)
            return
        span = slice(self.used, self.used + keys.shape[2])
        own[0][:, :, span], own[1][:, :, span] = keys, values

    def advance(self, count: int) -> None:
        """The tokens being fed are read by all layers.

        Where steps are recorded the device counts, and who replays them counts `used`.
        """
        if self.cursor is not None:
            self.cursor.add_(count)
        else:
            self.used += count

    def positions(self, count: int) -> Tensor:
        """Positions of the next `count` tokens of every row. Shape ``(rows, count)``."""
        own = (self.used if self.cursor is None else self.cursor) - self.starts
        first = self.block_lengths.repeat_interleave(self.rows_per_block) + own
        return first.unsqueeze(-1) + torch.arange(count, device=first.device)

    def own(self, layer: int) -> Tensor:
        """Keys and values of the rows' own tokens at a layer. Shape ``(2, n * r, heads, room, d)``."""
        if self.packed is not None:
            return self.packed.layer(layer)
        return self.columns[layer if len(self.columns) > 1 else 0]

    def make_room(self, count: int) -> None:
        """Grow the buffer, if need be, so that `count` more columns fit."""
        if self.packed is not None:
            self.packed.make_room(self.used, count)
        elif self.room < count:
            shape = list(self.columns.shape)
            shape[-2] = self.used + max(count, LEAST_ROOM)
            grown = self.columns.new_empty(shape)
            grown[..., : self.used, :] = self.columns[..., : self.used, :]
            self.columns = grown


def empty_cache(like: Tensor, layers: int, heads: int, depth: int) -> LeanCache:
    """A cache of one row that has read nothing."""
    nothing = torch.zeros(1, dtype=torch.long, device=like.device)
    shape = (layers, 2, 1, heads, 0, depth)
    return LeanCache(like.new_empty(shape), nothing, like.new_empty(shape), 0, nothing)


def continued(prompt: LeanCache, rows: int, room: int, *, is_last: bool = False) -> LeanCache:
    """A cache for `rows` continuations of one prompt, which was read into an empty cache and is not copied.

    Args:
        prompt: The prompt.
        rows: Continuations.
        room: Free columns.
        is_last: Whether it is extended once only: then one layer's room serves all.
    """
    layers, _, _, heads, _, depth = prompt.columns.shape
    columns = prompt.columns.new_empty((1 if is_last else layers, 2, rows, heads, room, depth))
    starts = torch.zeros(rows, dtype=torch.long, device=columns.device)
    lengths = torch.tensor([prompt.used], device=columns.device)
    return LeanCache(prompt.columns[..., : prompt.used, :], lengths, columns, 0, starts)


def gathered(
    prompts: Sequence[LeanCache],
    rows_per_block: int,
    room: int,
    *,
    source: LeanCache | None = None,
    rows: Tensor | None = None,
    longest: int = 0,
    packs: bool = False,
) -> LeanCache:
    """A grid with a block for each prompt, its rows taken out of another grid where they are under way.

    Args:
        prompts: Each block's prompt, read into an empty cache; the same one may head several blocks.
        rows_per_block: Rows of a block.
        room: Free columns.
        source: The grid that rows come from.
        rows: Which of its rows each row is; -1 starts a new one. Shape ``(n * r,)``; None starts all.
        longest: Own tokens of the oldest row taken.
        packs: Whether rows are kept as near to each other as they get where that gains time, for CPUs.
    """
    first = prompts[0].columns
    layers, _, _, heads, _, depth = first.shape
    lengths = [prompt.used for prompt in prompts]
    blocks = first.new_zeros((layers, 2, len(prompts), heads, max(lengths), depth))
    for block, (prompt, length) in enumerate(zip(prompts, lengths, strict=True)):
        blocks[:, :, block, :, :length] = prompt.columns[:, :, 0, :, :length]
    count = len(prompts) * rows_per_block
    starts = torch.full((count,), longest, dtype=torch.long, device=first.device)
    if source is not None and rows is not None and longest:
        first_own = source.starts[rows.clamp(min=0)] - (source.used - longest)
        starts = torch.where(rows >= 0, first_own.clamp(min=0), starts)
    capacity = longest + room
    packs = packs and is_worthwhile(depth, first.element_size(), capacity)
    grid = LeanCache(
        blocks,
        torch.tensor(lengths, device=first.device),
        first.new_empty((layers, 2, count, heads, 0 if packs else capacity, depth)),
        longest,
        starts,
        packed=PackedColumns(first, layers, count, heads, depth, capacity, longest) if packs else None,
    )
    if source is not None and rows is not None and longest:
        _copy_rows(source, grid, rows.clamp(min=0))
    return grid


def _copy_rows(source: LeanCache, grid: LeanCache, rows: Tensor) -> None:
    """Fill a grid's columns with the latest ones of the rows named."""
    latest = slice(source.used - grid.used, source.used)
    # Layer by layer: the copy in between is then small beside the cache.
    for layer in range(grid.blocks.shape[0]):
        for side in range(2):
            kept = source.own(layer)[side, :, :, latest].index_select(0, rows)
            grid.own(layer)[side, :, :, : grid.used] = kept


def selected_rows(cache: LeanCache, rows: Tensor) -> LeanCache:
    """A cache of the rows named of a single block, in that order, with repeats allowed; no room."""
    if cache.blocks.shape[2] != 1:
        raise ValueError("rows of one prompt only")
    columns = cache.columns[..., : cache.used, :].index_select(2, rows)
    return LeanCache(cache.blocks, cache.block_lengths, columns, cache.used, cache.starts[rows])
