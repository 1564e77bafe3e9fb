"""The `regex` signal: an RE2 pattern matches the text."""

from dataclasses import dataclass
from typing import Any, Literal

from workers.verifiers.compiled import PatternError, compile_pattern
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


@dataclass(frozen=True, slots=True)
class PatternVerifier:
    """Accept a text that the pattern matches; without a pattern, the prompt's answers are the patterns."""

    extraction: Extraction | None
    pattern: Any | None
    match: Literal["search", "full"]
    version: str = "regex/1"

    def judge(self, text: str, key: AnswerKey, finish_reason: FinishReason) -> Judgement:
        """Judge one completion; a longer text could match, so an unaccepted cut text is `truncated`."""
        found = text if self.extraction is None else self.extraction.find(text)
        if found is None:
            return not_parsed(finish_reason, "no answer found by `extract`")
        try:
            for answer, pattern in self._patterns(key):
                if self._matches(pattern, found):
                    return accepted(answer)
        except PatternError as error:
            return failed(str(error))
        return not_accepted(finish_reason, could_continue=self.extraction is None)

    def _patterns(self, key: AnswerKey) -> list[tuple[str | None, Any]]:
        if self.pattern is not None:
            return [(None, self.pattern)]
        return [(answer, compile_pattern(answer)) for answer in key.answers]

    def _matches(self, pattern: Any, text: str) -> bool:
        found = pattern.fullmatch(text) if self.match == "full" else pattern.search(text)
        return found is not None
