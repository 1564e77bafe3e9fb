"""What a verifier says about one completion, and what every verifier is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

Outcome = Literal["correct", "incorrect", "unparsed", "truncated", "verifier_error"]
FinishReason = Literal["eos", "stop", "length"]


@dataclass(frozen=True, slots=True)
class AnswerKey:
    """What a prompt says about right and wrong.

    Attributes:
        answers: Accepted answers.
        choices: The options of a multiple-choice prompt, in order; empty where it has none.
        demonstrations: Texts that show what is wanted; empty where it has none.
        tests: Python that raises unless the completion's program is right.
        prompt: The prompt as text; messages one a line, each after its role.
        prompt_id: The user's name for the prompt.
        metadata: Whatever the user keeps with the prompt.
        demonstration_ids: Token ids of the demonstrations without EOS, by the tokenizer of who is judged;
            None where that is not known.
    """

    answers: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    tests: str | None = None
    prompt: str = ""
    prompt_id: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False, compare=False)
    demonstrations: tuple[str, ...] = ()
    demonstration_ids: tuple[tuple[int, ...], ...] | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """The outcome of one completion.

    Attributes:
        outcome: `verifier_error` says nothing about the completion; it is never a wrong answer.
        reward: r(x, y): 1 for `correct` and 0 otherwise, unless the signal's reward is dense.
        detail: Why, where the outcome alone does not say it.
        answer: The accepted answer that the text gave, where a success is one of several.
        behaviour: g(y), the label of a success; None where there is none.
    """

    outcome: Outcome
    reward: float
    detail: str = ""
    answer: str | None = None
    behaviour: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A completion to judge.

    Attributes:
        text: What it says, special tokens left out.
        key: What its prompt says about right and wrong.
        finish_reason: How it ended.
        token_ids: Its tokens without EOS, where they are judged; None where its text is.
    """

    text: str
    key: AnswerKey
    finish_reason: FinishReason
    token_ids: tuple[int, ...] | None = None


INCORRECT = Judgement("incorrect", 0.0)


class Verifier(Protocol):
    """Judges texts against what their prompt says is right."""

    @property
    def version(self) -> str:
        """Changes whenever the same text may be judged otherwise."""

    def judge(self, text: str, key: AnswerKey, finish_reason: FinishReason) -> Judgement:
        """Judge a completion as it stands, cut by the length limit or not."""


@runtime_checkable
class BatchVerifier(Protocol):
    """A verifier that judges several completions at once."""

    @property
    def batch_size(self) -> int:
        """Completions at once at most."""

    def judge_many(self, cases: Sequence[Case]) -> list[Judgement]:
        """Judge each, in order."""


def accepted(answer: str | None = None) -> Judgement:
    """A success; `answer` is the accepted answer it gave, where there is such a thing."""
    return Judgement("correct", 1.0, answer=answer)


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


def failed(detail: str) -> Judgement:
    """The verifier could not judge: excluded from every rate, counted and bounded."""
    return Judgement("verifier_error", 0.0, detail)


def graded(reward: float, success_threshold: float | None, behaviour: str | None = None) -> Judgement:
    """A reward as a judgement: a success from the threshold on, or at 1 where there is none."""
    if reward >= (1.0 if success_threshold is None else success_threshold):
        return Judgement("correct", reward, behaviour=behaviour)
    return Judgement("incorrect", reward)
