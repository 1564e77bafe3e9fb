"""How many rows are decoded together: what fits, learnt by running out of memory, and what is fastest."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

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
