"""Prompts that a model has read: rounds, shards and scoring of one prompt read it once."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from torch import Tensor

from workers.engines.lean_cache import LeanCache

MOST_BYTES: Final = 64 << 20
"""Keys and values kept for a model: some twenty prompts of 64 tokens at 135 million parameters."""


@dataclass(frozen=True)
class Prefix:
    """A prompt already read.

    Attributes:
        length: Tokens.
        cache: Keys and values, batch size 1; a `LeanCache` where the model computes by its own forward.
        hidden: Final hidden state of the last token. Shape ``(1, h)``.
    """

    length: int
    cache: Any
    hidden: Tensor

    @property
    def bytes(self) -> int:
        """What its keys and values take."""
        if isinstance(self.cache, LeanCache):
            return self.cache.columns.nbytes
        held = (getattr(layer, name, None) for layer in self.cache.layers for name in ("keys", "values"))
        return sum(tensor.nbytes for tensor in held if isinstance(tensor, Tensor))


class PrefixMemory:
    """Prompts by their tokens, the least recently used one leaving first. Nobody extends what is kept.

    Args:
        most_bytes: Of keys and values together.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._held: OrderedDict[tuple[int, ...], Prefix] = OrderedDict()
        self.bytes = 0

    def get(self, prompt_ids: Sequence[int]) -> Prefix | None:
        """A prompt that was read, if it is kept."""
        found = self._held.get(tuple(prompt_ids))
        if found is not None:
            self._held.move_to_end(tuple(prompt_ids))
        return found

    def keep(self, prompt_ids: Sequence[int], prefix: Prefix) -> None:
        """Keep a prompt that is not kept yet; one that does not fit at all is not."""
        if prefix.bytes > self._most:
            return
        self._held[tuple(prompt_ids)] = prefix
        self.bytes += prefix.bytes
        while self.bytes > self._most:
            self.bytes -= self._held.popitem(last=False)[1].bytes

    def clear(self) -> None:
        """Keep nothing, for instance because memory ran out."""
        self._held.clear()
        self.bytes = 0
