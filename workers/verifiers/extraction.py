"""Finding the answer inside a completion."""

from dataclasses import dataclass
from typing import Any, Literal

import re2

from workers.verifiers.compiled import compile_pattern


@dataclass(frozen=True, slots=True)
class Extraction:
    """An RE2 pattern; its group 1, or else the whole match, is the answer.

    Attributes:
        pattern: A compiled RE2 pattern.
        which: Which match counts when there are several.
    """

    pattern: Any
    which: Literal["first", "last"]

    @classmethod
    def from_settings(cls, settings: dict[str, Any] | None) -> "Extraction | None":
        """Build from a signal's `extract`; None means that the whole text is the answer.

        Raises:
            PatternError: RE2 refuses the pattern.
        """
        if settings is None:
            return None
        return cls(compile_pattern(settings["pattern"]), settings["which"])

    def find(self, text: str) -> str | None:
        """The answer in the text, or None."""
        found = None
        for match in re2.finditer(self.pattern, text):
            found = match.group(1) if self.pattern.groups else match.group(0)
            if self.which == "first":
                break
        return found
