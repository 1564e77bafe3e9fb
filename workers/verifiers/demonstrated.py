"""The `demonstrations` signal: the completion is one of the prompt's demonstrations."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from workers.verifiers.exact import ExactVerifier
from workers.verifiers.judgement import AnswerKey, Case, FinishReason, Judgement, accepted, not_accepted


@dataclass(frozen=True, slots=True)
class DemonstrationVerifier:
    """Accept the token ids of a demonstration; where they are not known, its text.

    Texts leave special tokens out: one that is written with them is no text that a sample could have, and one
    that is not is also the text of samples that have them.
    """

    version: str = "demonstrations/2"
    batch_size: int = 256

    def judge(self, text: str, key: AnswerKey, finish_reason: FinishReason) -> Judgement:
        """Judge a text as `exact` judges it against answers: white space at both ends is ignored."""
        return ExactVerifier(None).judge(text, replace(key, answers=key.demonstrations), finish_reason)

    def judge_many(self, cases: Sequence[Case]) -> list[Judgement]:
        """Judge each, in order, by its token ids where both its own and the demonstrations' are known."""
        return [self._judged(case) for case in cases]

    def _judged(self, case: Case) -> Judgement:
        shown, written = case.key.demonstration_ids, case.token_ids
        if shown is None or written is None:
            return self.judge(case.text, case.key, case.finish_reason)
        if written in shown:
            return accepted(case.key.demonstrations[shown.index(written)])
        begun = any(one[: len(written)] == written for one in shown)
        return not_accepted(case.finish_reason, could_continue=begun)
