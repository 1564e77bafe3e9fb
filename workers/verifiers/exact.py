"""The `exact` signal: the text is an answer."""

from dataclasses import dataclass

from workers.verifiers.extraction import Extraction
from workers.verifiers.judgement import AnswerKey, FinishReason, Judgement, accepted, not_accepted, not_parsed


@dataclass(frozen=True, slots=True)
class ExactVerifier:
    """Accept a text equal to one of the answers, white space at both ends ignored."""

    extraction: Extraction | None
    version: str = "exact/1"

    def judge(self, text: str, key: AnswerKey, finish_reason: FinishReason) -> Judgement:
        """Judge one completion.

        A text cut by the length limit could still be accepted if it is a proper prefix of an answer (white
        space before it ignored), or, with an extraction, if no answer was found in it yet.
        """
        found = text if self.extraction is None else self.extraction.find(text)
        if found is None:
            return not_parsed(finish_reason, "no answer found by `extract`")
        answers = {answer.strip() for answer in key.answers}
        if found.strip() in answers:
            return accepted(found.strip())
        start = found.lstrip()
        could_continue = self.extraction is None and any(
            answer != start and answer.startswith(start) for answer in answers
        )
        return not_accepted(finish_reason, could_continue=could_continue)
