"""Evaluation signals: how a completion's text is judged."""

from typing import Annotated, Any, Literal

from pydantic import Field

from api_schemas.base import Document
from api_schemas.behaviours import Behaviour
from api_schemas.extraction import Extract
from api_schemas.patterns import Pattern


class Judging(Document):
    """What every signal can be told.

    A reward in R defines a success by `success_threshold`; verifiers answer 0 or 1 and need none.
    """

    extract: Extract | None = None
    behaviour: Behaviour | None = Field(
        None,
        description="How to label a success with the behaviour it shows; without it all successes are one.",
    )


class ExactSignal(Judging):
    """Accept a text that equals an answer, white space at both ends ignored."""

    kind: Literal["exact"]


class NumericSignal(Judging):
    """Accept a text that reads as a number close to an answer."""

    kind: Literal["numeric"]
    absolute_tolerance: Annotated[float, Field(ge=0)] = 0.0
    relative_tolerance: Annotated[float, Field(ge=0, lt=1)] = 0.0


class RegexSignal(Judging):
    """Accept a text that an RE2 pattern matches; without `pattern`, each prompt's answer is the pattern."""

    kind: Literal["regex"]
    pattern: Pattern | None = None
    match: Literal["search", "full"] = "full"


Signal = Annotated[ExactSignal | NumericSignal | RegexSignal, Field(discriminator="kind")]


class SignalDescription(Document):
    """A verifier on offer and the JSON Schema of its settings."""

    object: Literal["signal"]
    kind: str
    version: str
    description: str
    needs_answer: bool
    settings_schema: dict[str, Any]


class SignalList(Document):
    """Every verifier on offer."""

    object: Literal["list"]
    data: list[SignalDescription]
    has_more: bool
    next_cursor: str | None
