"""Hidden states of samples that several models score: their sampler reads them once."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from torch import Tensor

MOST_BYTES: Final = 64 << 20
"""Kept for a model: some thirty thousand tokens at 135 million parameters."""


@dataclass(slots=True)
class _Held:
    states: Tensor
    sweep: int


class StateMemory:
    """Final hidden states by what was read.

    What was used in the sweep under way stays: of a sweep that is larger than the memory the beginning is
    found again next time, where keeping the newest would find nothing.

    Args:
        most_bytes: Of all states together.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._held: OrderedDict[bytes, _Held] = OrderedDict()
        self._sweep = 0
        self.bytes = 0

    def begin(self) -> None:
        """A scorer begins to go through some samples."""
        self._sweep += 1

    def get(self, key: bytes) -> Tensor | None:
        """States that were kept. Shape ``(n, h)``."""
        held = self._held.get(key)
        if held is None:
            return None
        held.sweep = self._sweep
        self._held.move_to_end(key)
        return held.states

    def keep(self, key: bytes, states: Tensor) -> None:
        """Keep states, unless that would take more than what earlier sweeps left behind."""
        while self._held and self.bytes + states.nbytes > self._most:
            oldest = next(iter(self._held.values()))
            if oldest.sweep == self._sweep:
                return
            self.bytes -= self._held.popitem(last=False)[1].states.nbytes
        if self.bytes + states.nbytes <= self._most and key not in self._held:
            self._held[key] = _Held(states, self._sweep)
            self.bytes += states.nbytes

    def clear(self) -> None:
        """Keep nothing."""
        self._held.clear()
        self.bytes = 0
