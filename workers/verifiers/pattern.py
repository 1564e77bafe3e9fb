"""The `regex` signal: an RE2 pattern matches the text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from workers.verifiers.compiled import PatternError, compile_pattern
from workers.verifiers.extraction import Extraction
from workers.verifiers.judgement import CORRECT, FinishReason, Judgement, not_accepted, not_parsed


@dataclass(frozen=True, slots=True)
class PatternVerifier:
    """Accept a text that the pattern matches; without a pattern, the prompt's answers are the patterns."""

    extraction: Extraction | None
    pattern: Any | None
    match: Literal["search", "full"]
    version: str = "regex/1"

    def judge(self, text: str, answers: Sequence[str], finish_reason: FinishReason) -> Judgement:
        """Judge one completion; a longer text could match, so an unaccepted cut text is `truncated`."""
        found = text if self.extraction is None else self.extraction.find(text)
        if found is None:
            return not_parsed(finish_reason, "no answer found by `extract`")
        try:
            patterns = [self.pattern] if self.pattern is not None else [compile_pattern(a) for a in answers]
        except PatternError as error:
            return Judgement("verifier_error", 0.0, str(error))
        if any(self._matches(pattern, found) for pattern in patterns):
            return CORRECT
        return not_accepted(finish_reason, could_continue=self.extraction is None)

    def _matches(self, pattern: Any, text: str) -> bool:
        found = pattern.fullmatch(text) if self.match == "full" else pattern.search(text)
        return found is not None
