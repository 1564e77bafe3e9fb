"""The keys and values of a shared prompt, repeated for the rows of a batch."""

import copy
from typing import Any

from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from workers.engines.lean_cache import LeanCache, continued, selected_rows


class RoomyLayer(DynamicLayer):
    """A dynamic layer with room to grow.

    The stock layer concatenates at each step, copying the whole cache for every token; this one writes in
    place and hands out views. A selection of rows drops the room, and the next step allots it again.
    """

    keys: Tensor
    values: Tensor

    def __init__(self, keys: Tensor, values: Tensor, room: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.dtype, self.device, self.is_initialized = keys.dtype, keys.device, True
        self.keys, self.values = keys, values
        self._capacity = keys.shape[-2] + room
        self._buffers: tuple[Tensor, Tensor] | None = None

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Append keys and values of shape ``(b, heads, q, d)`` and return all seen so far."""
        used = self.keys.shape[-2]
        total = used + key_states.shape[-2]
        if self._buffers is None or total > self._buffers[0].shape[-2]:
            self._buffers = self._allot(self.keys, total), self._allot(self.values, total)
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[..., used:total, :] = states
        self.keys, self.values = (buffer[..., :total, :] for buffer in self._buffers)
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep the rows named."""
        super().batch_select_indices(indices)
        self._buffers = None

    def _allot(self, current: Tensor, total: int) -> Tensor:
        *lead, used, depth = current.shape
        buffer = current.new_empty((*lead, max(total, self._capacity), depth))
        buffer[..., :used, :] = current
        return buffer


def repeated(prefix: Any, rows: int, room: int, *, is_last: bool = False) -> Any:
    """A cache for `rows` continuations of one prefix; the prefix itself is untouched.

    Args:
        prefix: Of batch size 1.
        rows: Continuations.
        room: Tokens each may grow by, at most.
        is_last: Whether it is extended once only: then a `LeanCache` keeps no layer longer than its turn.
    """
    if isinstance(prefix, LeanCache):
        return continued(prefix, rows, room, is_last=is_last)
    cache: DynamicCache = copy.copy(prefix)
    cache.layers = [_repeated_layer(layer, rows, room) for layer in prefix.layers]
    return cache


def _repeated_layer(layer: Any, rows: int, room: int) -> Any:
    # Sliding-window and recurrent layers keep state of their own: they are copied whole and grow as they do.
    if type(layer) is not DynamicLayer or layer.keys is None or layer.values is None:
        twin = copy.deepcopy(layer)
        twin.batch_repeat_interleave(rows)
        return twin
    shape = (rows, -1, -1, -1)
    return RoomyLayer(layer.keys.expand(shape), layer.values.expand(shape), room)


def selected(cache: Any, rows: Tensor) -> Any:
    """A cache of the rows named, in that order, with repeats allowed; the given one is untouched.

    Args:
        cache: Keys and values of some batch.
        rows: Row numbers, int64. Shape ``(n,)``.
    """
    if isinstance(cache, LeanCache):
        return selected_rows(cache, rows)
    chosen: DynamicCache = copy.copy(cache)
    layers: list[Any] = [copy.copy(layer) for layer in cache.layers]
    for layer in layers:
        layer.batch_select_indices(rows)
    chosen.layers = layers
    return chosen
