"""Reasons that several figures share, numbered and told once."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from workers.reports.readings import Reading


class Footnotes:
    """Reasons, numbered as they first appear."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    @property
    def texts(self) -> tuple[str, ...]:
        """The reasons in order."""
        return tuple(self._numbers)

    def number(self, text: str) -> int:
        """The number of a reason."""
        return self._numbers.setdefault(text, len(self._numbers) + 1)


def gather(readings: Sequence[Reading], *, least: int = 2) -> tuple[list[Reading], tuple[str, ...]]:
    """Turn the notes that at least `least` readings share into footnotes.

    Returns:
        The readings, noted ones with a number in place of the note; the footnotes in order.
    """
    seen = Counter(reading.note for reading in readings if reading.note)
    notes = Footnotes()
    noted = [
        replace(reading, note="", footnote=notes.number(reading.note))
        if reading.note and seen[reading.note] >= least
        else reading
        for reading in readings
    ]
    return noted, notes.texts
