"""The `math` signal: the text's expression equals an answer, by math-verify in a killable child."""

from dataclasses import dataclass

from workers.verifiers.child import ChildFailed, ChildPool
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

MAX_CHARACTERS = 20_000
"""Of a text that is searched for expressions: its end, where answers are, since searching is not linear."""


@dataclass(frozen=True, slots=True)
class MathVerifier:
    """Accept a text whose final expression equals an accepted answer as mathematics."""

    extraction: Extraction | None
    pool: ChildPool
    version: str = "math/1"

    def judge(self, text: str, key: AnswerKey, finish_reason: FinishReason) -> Judgement:
        """Judge one completion.

        Without an extraction a later expression could still be the answer, so an unaccepted cut text is
        `truncated`. A text that exhausts the child's time or memory is a `verifier_error`.
        """
        found = text[-MAX_CHARACTERS:] if self.extraction is None else self.extraction.find(text)
        if found is None:
            return not_parsed(finish_reason, "no answer found by `extract`")
        for answer in key.answers:
            if found.strip() == answer.strip():
                return accepted(answer)
        request = {
            "text": found[-MAX_CHARACTERS:],
            "answers": list(key.answers),
            "extracted": self.extraction is not None,
        }
        try:
            reply = self.pool.ask(request)
        except ChildFailed as error:
            return failed(str(error))
        if "failed" in reply:
            return failed(reply["failed"])
        if "unparsed" in reply:
            return not_parsed(finish_reason, "no mathematical expression found")
        if reply["equal"] is not None:
            return accepted(key.answers[reply["equal"]])
        return not_accepted(finish_reason, could_continue=self.extraction is None)
