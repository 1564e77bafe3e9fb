"""The `exact` signal: the text is an answer."""

from collections.abc import Sequence
from dataclasses import dataclass

from workers.verifiers.extraction import Extraction
from workers.verifiers.judgement import CORRECT, FinishReason, Judgement, not_accepted, not_parsed


@dataclass(frozen=True, slots=True)
class ExactVerifier:
    """Accept a text equal to one of the answers, white space at both ends ignored."""

    extraction: Extraction | None
    version: str = "exact/1"

    def judge(self, text: str, answers: Sequence[str], finish_reason: FinishReason) -> Judgement:
        """Judge one completion.

        A text cut by the length limit could still be accepted if it is a proper prefix of an answer (white
        space before it ignored), or, with an extraction, if no answer was found in it yet.
        """
        found = text if self.extraction is None else self.extraction.find(text)
        if found is None:
            return not_parsed(finish_reason, "no answer found by `extract`")
        accepted = {answer.strip() for answer in answers}
        if found.strip() in accepted:
            return CORRECT
        start = found.lstrip()
        could_continue = self.extraction is None and any(
            answer != start and answer.startswith(start) for answer in accepted
        )
        return not_accepted(finish_reason, could_continue=could_continue)
