"""Labelling successes with the behaviour they show."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from workers.verifiers.compiled import compile_pattern
from workers.verifiers.extraction import PatternExtraction
from workers.verifiers.judgement import AnswerKey, FinishReason, Judgement, Verifier

MAX_LABEL_CHARACTERS = 200
"""Of a label that a pattern captured: a name of a plan or a tool, not the completion over again."""


class Labeller(Protocol):
    """Gives a success its behaviour g(y)."""

    def label(self, text: str, judgement: Judgement) -> str | None:
        """The label, or None."""


@dataclass(frozen=True, slots=True)
class CaptureLabeller:
    """The label is what a pattern captures."""

    extraction: PatternExtraction

    def label(self, text: str, judgement: Judgement) -> str | None:
        """The captured text, white space at both ends removed; None where nothing is left."""
        found = (self.extraction.find(text) or "").strip()[:MAX_LABEL_CHARACTERS]
        return found or None


@dataclass(frozen=True, slots=True)
class NameLabeller:
    """The label is the first name whose pattern is found."""

    patterns: Sequence[tuple[str, Any]]
    otherwise: str | None

    def label(self, text: str, judgement: Judgement) -> str | None:
        """The first name that fits, or `otherwise`."""
        names = (name for name, pattern in self.patterns if pattern.search(text) is not None)
        return next(names, self.otherwise)


class AnswerLabeller:
    """The label is the accepted answer that the text gave."""

    def label(self, text: str, judgement: Judgement) -> str | None:
        """The answer; None where the verifier does not compare with answers."""
        return None if judgement.answer is None else judgement.answer[:MAX_LABEL_CHARACTERS] or None


def build_labeller(settings: dict[str, Any]) -> Labeller:
    """Build from a signal's `behaviour`.

    Raises:
        PatternError: RE2 refuses a pattern.
    """
    match settings["by"]:
        case "capture":
            pattern = compile_pattern(settings["pattern"])
            return CaptureLabeller(PatternExtraction(pattern, settings["which"]))
        case "patterns":
            named = [(each["label"], compile_pattern(each["pattern"])) for each in settings["patterns"]]
            return NameLabeller(named, settings["otherwise"])
        case _:
            return AnswerLabeller()


@dataclass(frozen=True, slots=True)
class LabellingVerifier:
    """A verifier whose successes bear labels; a label that the verifier itself gave stays."""

    verifier: Verifier
    labeller: Labeller

    @property
    def version(self) -> str:
        """The verifier's own."""
        return self.verifier.version

    def judge(self, text: str, key: AnswerKey, finish_reason: FinishReason) -> Judgement:
        """Judge, then label a success."""
        return self.labelled(self.verifier.judge(text, key, finish_reason), text)

    def labelled(self, judgement: Judgement, text: str) -> Judgement:
        """The judgement of a text with its label."""
        if judgement.outcome != "correct" or judgement.behaviour is not None:
            return judgement
        return replace(judgement, behaviour=self.labeller.label(text, judgement))
