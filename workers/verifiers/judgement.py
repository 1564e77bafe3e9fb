"""What a verifier says about one completion, and what every verifier is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Outcome = Literal["correct", "incorrect", "unparsed", "truncated", "verifier_error"]
FinishReason = Literal["eos", "stop", "length"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """The outcome of one completion.

    Attributes:
        outcome: `verifier_error` says nothing about the completion; it is never a wrong answer.
        reward: r(x, y), 1 for `correct` and 0 otherwise.
        detail: Why, where the outcome alone does not say it.
    """

    outcome: Outcome
    reward: float
    detail: str = ""


CORRECT = Judgement("correct", 1.0)
INCORRECT = Judgement("incorrect", 0.0)


class Verifier(Protocol):
    """Judges texts against a prompt's accepted answers."""

    @property
    def version(self) -> str:
        """Changes whenever the same text may be judged otherwise."""

    def judge(self, text: str, answers: Sequence[str], finish_reason: FinishReason) -> Judgement:
        """Judge a completion as it stands, cut by the length limit or not."""


def not_accepted(finish_reason: FinishReason, *, could_continue: bool) -> Judgement:
    """A parsed text that no answer accepts: `truncated` if it was cut before it could be accepted."""
    if finish_reason == "length" and could_continue:
        return Judgement("truncated", 0.0, "cut by the length limit; a continuation could still be accepted")
    return INCORRECT


def not_parsed(finish_reason: FinishReason, detail: str) -> Judgement:
    """A text in which no answer was found."""
    if finish_reason == "length":
        return Judgement("truncated", 0.0, f"cut by the length limit: {detail}")
    return Judgement("unparsed", 0.0, detail)
