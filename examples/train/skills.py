"""The skills: what is asked, what is right, and which items training may see."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

Family = Literal["basin", "tail", "new"]
Split = Literal["train", "heldout"]

HELDOUT_SHARE: Final = 5
"""One item in this many is held out."""


@dataclass(frozen=True, slots=True)
class Item:
    """One question.

    Attributes:
        prompt: What the model is given, for example ``12+30=``.
        answer: The only accepted text, for example ``42``.
        family: ``basin`` (two digits plus one), ``tail`` (two plus two), ``new`` (reversal).
        key: What decides the split: the prompt, with the operands of a sum in ascending order, so
            that ``30+12=`` is never a training item while ``12+30=`` is held out.
    """

    prompt: str
    answer: str
    family: Family
    key: str

    @property
    def digest(self) -> str:
        """SHA-256 of the key, hexadecimal."""
        return hashlib.sha256(self.key.encode()).hexdigest()

    @property
    def split(self) -> Split:
        """Side of the split, by a real hash: a linear one would hold out whole residue classes."""
        return "heldout" if int(self.digest, 16) % HELDOUT_SHARE == 0 else "train"


def addition(first: int, second: int, family: Family) -> Item:
    """The sum ``first+second=``."""
    low, high = sorted((first, second))
    return Item(f"{first}+{second}=", str(first + second), family, f"{low}+{high}=")


def reversal(number: int) -> Item:
    """The reversal of a five-digit string, leading zeros kept: ``01234>`` gives ``43210``."""
    digits = f"{number:05d}"
    return Item(f"{digits}>", digits[::-1], "new", f"{digits}>")


def every_item(family: Family) -> Iterator[Item]:
    """All items of a family, in numerical order."""
    if family == "basin":
        yield from (addition(a, b, "basin") for a in range(10, 100) for b in range(10))
    elif family == "tail":
        yield from (addition(a, b, "tail") for a in range(10, 100) for b in range(10, 100))
    else:
        yield from (reversal(number) for number in range(100_000))


def items_of(family: Family, split: Split) -> list[Item]:
    """The items of a family on one side of the split, in numerical order."""
    return [item for item in every_item(family) if item.split == split]
