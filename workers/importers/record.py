"""What every format is read into: one sample of one prompt."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from workers.errors import AnalysisFault

SENTINEL: Final = -9999.0
"""What chat servers report for a token outside the ones they list: no number, and never to be summed."""


ROUNDING: Final = 1e-6
"""Nats above 0 that rounding can leave a log-probability at."""


class ImportFault(AnalysisFault):
    """A log cannot be read, or says nothing that could be analysed."""

    def __init__(self, detail: str, *, line: int | None = None, code: str = "invalid_log") -> None:
        where = "" if line is None else f"line {line}: "
        super().__init__(code, f"{where}{detail}")


@dataclass(frozen=True, slots=True)
class ImportedPrompt:
    """A prompt as a log has it; two logs pair by `digest`.

    Attributes:
        id: Its name in the log.
        text: The text that was completed; None for a chat.
        messages: The chat; None for a text.
        answers: Accepted answers.
        family: Prompts that belong together.
    """

    id: str
    text: str | None
    messages: tuple[Mapping[str, str], ...] | None
    answers: tuple[str, ...]
    family: str | None = None

    @property
    def digest(self) -> str:
        """Hash of what was asked, whatever it is called."""
        return prompt_digest(self.text, self.messages)


@dataclass(frozen=True, slots=True)
class ImportedSample:
    """One sample.

    Attributes:
        prompt: Its prompt.
        text: What was written.
        finish: `eos`, or `length` where the log says that it was cut off.
        logprob: Log-probability of the whole text, nats; None without one.
        line: Where it is in the log.
    """

    prompt: ImportedPrompt
    text: str
    finish: str = "eos"
    logprob: float | None = None
    line: int | None = None


@dataclass(slots=True)
class LogNotes:
    """What is learnt about a log while its samples are read.

    Attributes:
        model: Who wrote the samples.
        sampling: Settings they were drawn with.
        filters: Filters the log has been through.
        warnings: Code to words.
    """

    model: str | None = None
    sampling: dict[str, Any] = field(default_factory=dict)
    filters: list[str] = field(default_factory=list)
    warnings: dict[str, str] = field(default_factory=dict)

    def warn(self, code: str, detail: str) -> None:
        """Note something once."""
        self.warnings.setdefault(code, detail)

    def set_sampling(self, name: str, value: Any) -> None:
        """Note a setting; samples drawn with several are said to be."""
        if value is None or isinstance(value, list | dict):
            return
        if self.sampling.setdefault(name, value) != value:
            self.warn("sampling_differs", f"the samples of this log were drawn with several values of {name}")


def prompt_digest(text: str | None, messages: Sequence[Mapping[str, str]] | None) -> str:
    """Hash of a prompt: of its text, or of its chat's roles and contents."""
    asked: Any = text if messages is None else [[turn["role"], turn["content"]] for turn in messages]
    return hashlib.sha256(json.dumps(asked, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()


def summed(logprobs: Sequence[Any], line: int | None, notes: LogNotes) -> float | None:
    """Log-probability of a text from its tokens', nats; None if one is missing or a sentinel.

    Raises:
        ImportFault: one is no log-probability.
    """
    values: list[float] = []
    for value in logprobs:
        if value is None:
            return None
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not math.isfinite(value)
            or value > ROUNDING
        ):
            raise ImportFault(f"{value!r} is no log-probability", line=line)
        if value <= SENTINEL:
            notes.warn(
                "logprob_sentinel",
                f"log-probabilities of {SENTINEL:g} stand for tokens outside the listed ones; those samples "
                "count as samples without a log-probability",
            )
            return None
        values.append(float(value))
    return math.fsum(values)


def finish_of(reason: object) -> str:
    """How a sample ended, from what servers and harnesses call it."""
    return "length" if reason in {"length", "max_tokens", "model_length"} else "eos"


def texts(value: object) -> tuple[str, ...]:
    """Accepted answers from a value that is a text, a number, or a list of them."""
    if value is None:
        return ()
    if isinstance(value, list):
        return tuple(str(item) for item in value)
    return (str(value),)
