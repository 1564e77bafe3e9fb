"""Evaluation signals: how a completion's text is judged."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from api_schemas.base import Document

MAX_PATTERN_CHARACTERS = 2_000
"""Characters a pattern: RE2 runs in linear time, but compiling takes memory that grows with it."""

Pattern = Annotated[str, StringConstraints(min_length=1, max_length=MAX_PATTERN_CHARACTERS)]


class Extract(Document):
    """How to find the answer inside a completion; a text without a match is `unparsed`."""

    pattern: Pattern = Field(description="RE2; group 1 if there is one, else the whole match.")
    which: Literal["first", "last"] = "last"


class ExactSignal(Document):
    """Accept a text that equals an answer, white space at both ends ignored."""

    kind: Literal["exact"]
    extract: Extract | None = None


class NumericSignal(Document):
    """Accept a text that reads as a number close to an answer."""

    kind: Literal["numeric"]
    extract: Extract | None = None
    absolute_tolerance: Annotated[float, Field(ge=0)] = 0.0
    relative_tolerance: Annotated[float, Field(ge=0, lt=1)] = 0.0


class RegexSignal(Document):
    """Accept a text that an RE2 pattern matches; without `pattern`, each prompt's answer is the pattern."""

    kind: Literal["regex"]
    extract: Extract | None = None
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
