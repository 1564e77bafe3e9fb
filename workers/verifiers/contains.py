"""The `contains` signal: an answer stands in the text."""

from dataclasses import dataclass

from workers.verifiers.extraction import Extraction
from workers.verifiers.judgement import (
    AnswerKey,
    FinishReason,
    Judgement,
    accepted,
    not_accepted,
    not_parsed,
)


@dataclass(frozen=True, slots=True)
class ContainsVerifier:
    """Accept a text in which one of the answers stands, or all of them.

    Attributes:
        extraction: Where to look; None is the whole text.
        ignore_case: Whether capital and small letters are the same.
        whole_words: Whether letters, digits or an underscore right beside an answer spoil it.
        every: Whether all answers have to be there.
    """

    extraction: Extraction | None
    ignore_case: bool
    whole_words: bool
    every: bool
    version: str = "contains/1"

    def judge(self, text: str, key: AnswerKey, finish_reason: FinishReason) -> Judgement:
        """Judge one completion; what is missing could still come, so an unaccepted cut text is truncated."""
        found = text if self.extraction is None else self.extraction.find(text)
        if found is None:
            return not_parsed(finish_reason, "no answer found by `extract`")
        there = [answer for answer in key.answers if self._stands(answer.strip(), found)]
        if there and (not self.every or len(there) == len(key.answers)):
            return accepted(None if self.every else there[0])
        return not_accepted(finish_reason, could_continue=self.extraction is None)

    def _stands(self, answer: str, text: str) -> bool:
        if self.ignore_case:
            answer, text = answer.casefold(), text.casefold()
        position = text.find(answer)
        while position >= 0:
            around = text[max(0, position - 1) : position], text[position + len(answer) :][:1]
            if not self.whole_words or not any(c.isalnum() or c == "_" for c in around):
                return True
            position = text.find(answer, position + 1)
        return False
