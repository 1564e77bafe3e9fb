"""Evaluation signals: how a completion's text is judged."""

from typing import Annotated, Any, Literal

from pydantic import Field

from api_schemas.base import Document, JsonObject
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


class ChoiceSignal(Judging):
    """Accept a text that names the right option, by letter or by its words.

    A prompt's `answer` is a letter or an option of its `choices`.
    """

    kind: Literal["choice"]


class ContainsSignal(Judging):
    """Accept a text in which an answer stands."""

    kind: Literal["contains"]
    match: Literal["any", "all"] = Field("any", description="Whether one answer suffices, or all must stand.")
    ignore_case: bool = False
    whole_words: bool = Field(
        False,
        description="Letters, digits or an underscore right beside an answer spoil it: 42 is not in 142.",
    )


class MathSignal(Judging):
    """Accept a text whose expression equals an answer as mathematics, by math-verify.

    Without `extract` the text is searched for LaTeX, \\boxed{} and expressions.
    """

    kind: Literal["math"]


class JsonSchemaSignal(Judging):
    """Accept a text that is JSON and satisfies a schema; without `json_schema`, a prompt's answer is one.

    A code fence around the document is ignored. Patterns are RE2, and a schema refers to nothing outside.
    """

    kind: Literal["json_schema"]
    json_schema: JsonObject | None = Field(None, examples=[{"type": "object", "required": ["name"]}])


Signal = Annotated[
    ExactSignal | NumericSignal | RegexSignal | ChoiceSignal | ContainsSignal | MathSignal | JsonSchemaSignal,
    Field(discriminator="kind"),
]


class SignalExample(Document):
    """A signal, a prompt, and what becomes of some completions."""

    signal: dict[str, Any]
    prompt: dict[str, Any]
    accepted: str
    refused: str


class SignalDescription(Document):
    """A signal, the JSON Schema of its settings, and whether this deployment offers it."""

    object: Literal["signal"]
    kind: str
    version: str
    description: str
    needs_answer: bool
    available: bool
    unavailable_because: str | None
    example: SignalExample
    settings_schema: dict[str, Any]


class SignalList(Document):
    """Every signal."""

    object: Literal["list"]
    data: list[SignalDescription]
    has_more: bool
    next_cursor: str | None
