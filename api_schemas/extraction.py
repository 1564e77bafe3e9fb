"""How to find the answer inside a completion."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from api_schemas.base import Document
from api_schemas.patterns import Pattern


class Extract(Document):
    """How to find the answer inside a completion; a text without one is `unparsed`."""

    find: Literal["pattern", "boxed", "last_number", "after"] = Field(
        "pattern",
        description=(
            "`pattern`: what an RE2 pattern matches. `boxed`: the content of \\boxed{…}, braces balanced. "
            "`last_number`: the last decimal number. `after`: the rest of the line after `marker`, without a "
            "colon, emphasis, dollar signs and the final full stop."
        ),
    )
    pattern: Pattern | None = Field(
        None,
        description="With `pattern`: RE2; group 1 if there is one, else the whole match.",
        examples=["#### (-?[0-9.,]+)"],
    )
    marker: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = Field(
        None,
        description="With `after`: the words before the answer, in any case.",
        examples=["the answer is"],
    )
    which: Literal["first", "last"] = Field(
        "last", description="Which counts where there are several; `last_number` is always the last."
    )

    @model_validator(mode="after")
    def _says_what_it_needs(self) -> Self:
        needed = {"pattern": "pattern", "after": "marker"}.get(self.find)
        for name in ("pattern", "marker"):
            given = getattr(self, name) is not None
            if given and name != needed:
                raise ValueError(f"`{name}` has no use with find `{self.find}`; leave it out")
            if not given and name == needed:
                raise ValueError(f"find `{self.find}` needs a `{name}`")
        if self.find == "last_number" and self.which == "first":
            raise ValueError("find `last_number` is always the last; use a `pattern` for the first")
        return self
