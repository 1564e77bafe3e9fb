"""Keys and values of a grid's rows on a CPU, with hardly a gap between one row and the next."""

from typing import Final

import torch
from torch import Tensor

GAP_BYTES: Final = 384
"""Between two rows, at most: a processor's prefetcher reads on over gaps of some cache lines. Beyond them
attention waits for memory at every row, and takes three to four times as long. (Measured on an AMD EPYC: it
read on over 384 bytes, and not over 512.)"""

COPIED_BYTES: Final = 8192
"""Of a row's keys or values of a head, copied for each token at most: beyond them copies take longer than the
waits that they save. (On the same processor the two were even at 9 kB.)"""


def is_worthwhile(depth: int, bytes_each: int, capacity: int) -> bool:
    """Whether rows that lie near each other are read sooner by more than it takes to move them apart.

    Args:
        depth: Of a head.
        bytes_each: Of an element.
        capacity: Tokens a row may hold at most.
    """
    token = depth * bytes_each
    step = 1 + GAP_BYTES // token
    # A token larger than the gap would have all copied for each; with heads of 128 no gap cost anything.
    return step > 1 and capacity * token <= step * COPIED_BYTES


class PackedColumns:
    """Room for tokens of every row, of which each layer lays out no more than its rows hold, and a little.

    For short rows of small heads; see `is_worthwhile`.

    Growing moves a layer's columns apart. It writes them to a spare layer's memory, and what it leaves serves
    the next layer, so that no memory is asked for while a grid is decoded.

    Args:
        like: Of the type and on the device.
        layers: Of the model.
        rows: Of the grid.
        heads: Of keys.
        depth: Of a head.
        capacity: Tokens a row may hold at most.
        width: Tokens a row is laid out for.
    """

    def __init__(
        self, like: Tensor, layers: int, rows: int, heads: int, depth: int, capacity: int, width: int
    ) -> None:
        self.capacity = capacity
        self._shape = (2, rows, heads, width, depth)
        size = 2 * rows * heads * capacity * depth
        *self._stores, self._spare = (like.new_empty(size) for _ in range(layers + 1))
        self._step = 1 + GAP_BYTES // (depth * like.element_size())

    def layer(self, number: int) -> Tensor:
        """Keys and values of a layer. Shape ``(2, rows, heads, width, depth)``."""
        return self._laid_out(self._stores[number], self._shape)

    def make_room(self, used: int, count: int) -> None:
        """Lay out `count` more tokens than are used, if that is not so.

        Raises:
            ValueError: that is more than the capacity.
        """
        sides, rows, heads, width, depth = self._shape
        if used + count <= width:
            return
        if used + count > self.capacity:
            raise ValueError(f"{used + count} tokens a row, and room for {self.capacity}")
        shape = (sides, rows, heads, min(self.capacity, used + max(count, self._step)), depth)
        for number, store in enumerate(self._stores):
            kept = self._laid_out(store, self._shape)[..., :used, :]
            self._laid_out(self._spare, shape)[..., :used, :] = kept
            self._stores[number], self._spare = self._spare, store
        self._shape = shape

    @staticmethod
    def _laid_out(store: Tensor, shape: tuple[int, ...]) -> Tensor:
        return store[: torch.Size(shape).numel()].view(shape)
