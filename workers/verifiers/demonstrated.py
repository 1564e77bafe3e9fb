"""The `demonstrations` signal: the text is one of the prompt's demonstrations."""

from dataclasses import dataclass, replace

from workers.verifiers.exact import ExactVerifier
from workers.verifiers.judgement import AnswerKey, FinishReason, Judgement


@dataclass(frozen=True, slots=True)
class DemonstrationVerifier:
    """Accept a text equal to a demonstration, white space at both ends ignored."""

    version: str = "demonstrations/1"

    def judge(self, text: str, key: AnswerKey, finish_reason: FinishReason) -> Judgement:
        """Judge one completion as `exact` judges it against answers."""
        return ExactVerifier(None).judge(text, replace(key, answers=key.demonstrations), finish_reason)
