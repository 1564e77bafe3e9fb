"""The `choice` signal: the text chooses the right option of several."""

import re
import string
from dataclasses import dataclass
from typing import Final

from workers.verifiers.extraction import Extraction
from workers.verifiers.judgement import (
    AnswerKey,
    FinishReason,
    Judgement,
    accepted,
    failed,
    not_accepted,
    not_parsed,
)

LETTERS: Final = string.ascii_uppercase

BARE: Final = re.compile(r"^[\s*_`($\[]*([A-Za-z])[\s*_`)$\].:]*$")
"""A letter alone, with the marks that are put around one: `B`, `(B)`, `**B.**`."""

LED: Final = re.compile(r"^[\s*_`($\[]*([A-Z])[*_`]*[)\].:][*_`]*\s")
"""A letter that leads the option it names: `B) Rome`, `B. Rome`."""

SAID: Final = re.compile(
    r"(?i:\b(?:answer|choice|option)(?: is)?:?)[\s*_`($\[]{0,8}([A-Z])(?![A-Za-z0-9'])",
)
"""A letter that a sentence names as the answer: `the answer is (B)`, `Answer: B`."""


@dataclass(frozen=True, slots=True)
class ChoiceVerifier:
    """Accept a text that names the accepted option, by letter or by its own words.

    A letter alone, or one that leads the text, counts first; then the last letter that a sentence calls the
    answer; then a text that is an option's words.
    """

    extraction: Extraction | None
    version: str = "choice/1"

    def judge(self, text: str, key: AnswerKey, finish_reason: FinishReason) -> Judgement:
        """Judge one completion.

        A text that names no option is `unparsed`, or `truncated` if it was cut. An answer of the prompt that
        is no option is a `verifier_error`.
        """
        right = [option_of(answer, key.choices) for answer in key.answers]
        if any(option is None for option in right):
            return failed("an answer of this prompt is none of its options")
        found = text if self.extraction is None else self.extraction.find(text)
        if found is None:
            return not_parsed(finish_reason, "no answer found by `extract`")
        chosen = chosen_option(found, key.choices)
        if chosen is None:
            return not_parsed(finish_reason, "the text names no option")
        if chosen in right:
            return accepted(chosen)
        return not_accepted(finish_reason, could_continue=False)


def option_of(answer: str, choices: tuple[str, ...]) -> str | None:
    """The letter of an accepted answer that is given as a letter or as an option's words; None if neither."""
    bare = answer.strip()
    for letter, choice in zip(LETTERS, choices, strict=False):
        if _same(bare, choice):
            return letter
    return _offered(bare.upper(), choices) if len(bare) == 1 else None


def chosen_option(text: str, choices: tuple[str, ...]) -> str | None:
    """The letter of the option that a text names; None if it names none."""
    for pattern in (BARE, LED):
        if (match := pattern.match(text)) is not None:
            return _offered(match.group(1).upper(), choices)
    said = [letter for found in SAID.finditer(text) if (letter := _offered(found.group(1), choices))]
    if said:
        return said[-1]
    for letter, choice in zip(LETTERS, choices, strict=False):
        if _same(text, choice):
            return letter
    return None


def _offered(letter: str, choices: tuple[str, ...]) -> str | None:
    offered = LETTERS[: len(choices)] if choices else LETTERS
    return letter if letter in offered else None


def _same(text: str, choice: str) -> bool:
    marks = " \t\n*_`$.'\""
    return text.strip(marks).casefold() == choice.strip(marks).casefold()
