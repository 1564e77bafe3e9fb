"""Finding the answer inside a completion."""

import re
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import re2

from workers.verifiers.compiled import compile_pattern

Which = Literal["first", "last"]

BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
NUMBER = re2.compile(
    r"[+-]?(?:(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?"
)
BRACKETING = re.compile(r"^[\s:=*_`$]+|[\s*_`$]+$")
"""Colon, emphasis, code and mathematics marks around an answer on the rest of a line."""


class Extraction(Protocol):
    """A way to find the answer in a text."""

    def find(self, text: str) -> str | None:
        """The answer in the text, or None."""


@dataclass(frozen=True, slots=True)
class PatternExtraction:
    """An RE2 pattern; its group 1, or else the whole match, is the answer.

    Attributes:
        pattern: A compiled RE2 pattern.
        which: Which match counts when there are several.
    """

    pattern: Any
    which: Which

    def find(self, text: str) -> str | None:
        """The chosen match; None also where group 1 took no part in it."""
        found = None
        for match in re2.finditer(self.pattern, text):
            found = match.group(1) if self.pattern.groups else match.group(0)
            if self.which == "first":
                break
        return found


@dataclass(frozen=True, slots=True)
class BoxedExtraction:
    r"""The content of `\boxed{...}` or `\fbox{...}`, its braces balanced; a box cut short is none."""

    which: Which

    def find(self, text: str) -> str | None:
        """The content of the chosen outermost box."""
        found, position = None, 0
        while (opening := BOX.search(text, position)) is not None:
            end = _closing_brace(text, opening.end())
            if end is None:
                break
            found, position = text[opening.end() : end].strip(), end + 1
            if self.which == "first":
                break
        return found


def _closing_brace(text: str, start: int) -> int | None:
    depth, position = 1, start
    while position < len(text):
        character = text[position]
        if character == "\\":
            position += 1  # \{ and \} are printed braces
        elif character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
            if depth == 0:
                return position
        position += 1
    return None


@dataclass(frozen=True, slots=True)
class LastNumberExtraction:
    """The last decimal number, with thousands commas and exponent; a sign that subtracts is not its own."""

    def find(self, text: str) -> str | None:
        """The number as it is written."""
        found = None
        for match in re2.finditer(NUMBER, text):
            number = match.group(0)
            before = text[match.start() - 1 : match.start()]
            subtracts = number[0] in "+-" and (before.isalnum() or before in tuple(")]}"))
            found = number[1:] if subtracts else number
        return found


@dataclass(frozen=True, slots=True)
class MarkerExtraction:
    """The rest of the line after some words, without the marks around it and the final full stop.

    Attributes:
        marker: A compiled pattern of the words.
        which: Which occurrence counts when there are several.
    """

    marker: Any
    which: Which

    def find(self, text: str) -> str | None:
        """What follows; None where nothing does."""
        found = None
        for match in re2.finditer(self.marker, text):
            line = text[match.end() :].split("\n", 1)[0]
            bare = BRACKETING.sub("", BRACKETING.sub("", line).removesuffix("."))
            if not bare:
                continue
            found = bare
            if self.which == "first":
                break
        return found


def build_extraction(settings: dict[str, Any] | None) -> Extraction | None:
    """Build from a signal's `extract`; None means that the whole text is the answer.

    Raises:
        PatternError: RE2 refuses the pattern.
    """
    if settings is None:
        return None
    match settings["find"]:
        case "boxed":
            return BoxedExtraction(settings["which"])
        case "last_number":
            return LastNumberExtraction()
        case "after":
            marker = compile_pattern(f"(?i){re2.escape(settings['marker'])}")
            return MarkerExtraction(marker, settings["which"])
        case _:
            return PatternExtraction(compile_pattern(settings["pattern"]), settings["which"])
