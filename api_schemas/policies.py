"""How tokens are drawn."""

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from api_schemas.base import Document

MAX_NEW_TOKENS = 32_768
"""Longest completion: above the longest chains of thought now in use, below what a cache holds."""


def not_greedy(value: object) -> object:
    """The value of a temperature before it is read.

    Raises:
        ValueError: it is 0, which is no distribution.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and value == 0:
        raise ValueError(
            "temperature 0 is greedy decoding: it gives one completion probability 1 and has no support "
            "to speak of; use a positive temperature such as 1.0, or a small one such as 0.2"
        )
    return value


Temperature = Annotated[float, Field(gt=0, le=100), BeforeValidator(not_greedy)]
TopK = Annotated[int, Field(ge=0)]
TopP = Annotated[float, Field(gt=0, le=1)]
MinP = Annotated[float, Field(ge=0, lt=1)]
NewTokens = Annotated[int, Field(ge=1, le=MAX_NEW_TOKENS)]
Stops = Annotated[list[Annotated[str, StringConstraints(min_length=1, max_length=200)]], Field(max_length=16)]


class Policy(Document):
    """The decoding policy: temperature, then top-k, then top-p or min-p, renormalised at each token."""

    temperature: Temperature = 1.0
    top_k: TopK = 0
    top_p: TopP = 1.0
    min_p: MinP = 0.0
    max_new_tokens: NewTokens = 8
    stop: Stops = Field(default=[])

    @model_validator(mode="after")
    def _min_p_stands_alone(self) -> Self:
        if self.min_p > 0 and (self.top_k > 0 or self.top_p < 1):
            raise ValueError("min_p cannot be combined with top_k or top_p: engines disagree on their order")
        return self
