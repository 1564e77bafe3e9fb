"""How many rows are decoded together: what fits, learnt by running out of memory, and what is fastest."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Self

import torch

from workers.engines.causal_model import CausalModel

CPU_ROWS: Final = 512
GPU_ROWS: Final = 4_096
CPU_TOKENS: Final = 32_768
"""What is decoded together unless settings say otherwise; why is said there."""

GROW_AFTER: Final = 8
"""Batches that must fit in a row before a larger one is tried: each failed try costs one batch."""


@dataclass(slots=True)
class BatchSize:
    """Rows decoded together: halved when memory runs out, grown back after successes.

    Attributes:
        most: Never more than this.
        size: What to try next.
    """

    most: int
    size: int = 0
    _fitted: int = 0

    def __post_init__(self) -> None:
        self.size = self.size or self.most

    def failed(self, rows: int) -> None:
        """A batch of `rows` ran out of memory."""
        self.size = max(1, rows // 2)
        self._fitted = 0

    def fitted(self, rows: int) -> None:
        """A batch of `rows` fit; a rest that is smaller than what was allowed says nothing."""
        if rows < self.size or self.size >= self.most:
            return
        self._fitted += 1
        if self._fitted >= GROW_AFTER:
            self.size = min(self.most, 2 * self.size)
            self._fitted = 0


class BatchLimits(NamedTuple):
    """What is decoded together at most: rows, and tokens whose keys and values are held."""

    rows: int
    tokens: int

    @classmethod
    def of(cls, model: CausalModel, rows: int | None = None, tokens: int | None = None) -> Self:
        """Those given, and otherwise what suits the model's device.

        Args:
            model: Whose rows are decoded.
            rows: The limit on rows, if one is set.
            tokens: The limit on tokens, if one is set.
        """
        gpu = model.device.type == "cuda"
        if tokens is None:
            tokens = max(1, _free_bytes(model.device) // (2 * model.token_bytes)) if gpu else CPU_TOKENS
        return cls(rows or (GPU_ROWS if gpu else CPU_ROWS), tokens)


def _free_bytes(device: torch.device) -> int:
    """Memory of a GPU that is free, or kept by torch and not in use."""
    free, _ = torch.cuda.mem_get_info(device)
    return int(free) + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


@dataclass(slots=True)
class BatchMemory:
    """The sizes of a process's models, by length: what a row holds on the device grows with it."""

    _sizes: dict[tuple[str, int], BatchSize] = field(default_factory=dict)
    _fastest: dict[tuple[str, int], int] = field(default_factory=dict)

    def size_for(
        self, model: str, length: int, most: int, fastest: Callable[[], int] | None = None
    ) -> BatchSize:
        """The size for rows of a model.

        Args:
            model: Its digest.
            length: Tokens of a row at most, prompt included; rows within a factor of two share a size.
            most: Never more rows than this now.
            fastest: Measures how many rows draw fastest; asked once for each model and length.
        """
        if fastest is not None:
            key = (model, length.bit_length())
            if key not in self._fastest:
                self._fastest[key] = fastest()
            most = min(most, self._fastest[key])
        known = self._sizes.setdefault((model, length.bit_length()), BatchSize(most))
        if known.most != most:
            known.size = min(most, known.size if known.size < known.most else most)
            known.most = most
        return known
