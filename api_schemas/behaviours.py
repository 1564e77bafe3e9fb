"""How to label an accepted completion with the behaviour it shows."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from api_schemas.base import Document
from api_schemas.patterns import Pattern

MAX_LABEL_CHARACTERS = 200
"""Characters of a label: a name of a plan or a tool, not the completion over again."""

Label = Annotated[str, StringConstraints(min_length=1, max_length=MAX_LABEL_CHARACTERS)]


class CapturedBehaviour(Document):
    """Label a success with what a pattern captures in its text; no match leaves it without a label."""

    by: Literal["capture"]
    pattern: Pattern = Field(
        description="RE2 over the whole text; group 1 if there is one, else the whole match.",
        examples=["using ([a-z]+)"],
    )
    which: Literal["first", "last"] = "last"


class NamedPattern(Document):
    """A label and the pattern of the texts that bear it."""

    label: Label
    pattern: Pattern


class NamedBehaviour(Document):
    """Label a success with the first name whose pattern is found in its text."""

    by: Literal["patterns"]
    patterns: Annotated[list[NamedPattern], Field(min_length=1, max_length=100)]
    otherwise: Label | None = Field(None, description="The label of a success that no pattern names.")


class AnsweredBehaviour(Document):
    """Label a success with the accepted answer that it gave: the modes of a prompt with several answers."""

    by: Literal["answer"]


Behaviour = Annotated[CapturedBehaviour | NamedBehaviour | AnsweredBehaviour, Field(discriminator="by")]
