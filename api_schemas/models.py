"""The model registry."""

from typing import Literal

from api_schemas.base import Document


class Model(Document):
    """A registered model: what its id stands for, by content."""

    id: str
    object: Literal["model"]
    kind: Literal["model", "adapter"]
    status: Literal["ready", "invalid"]
    detail: str | None
    architecture: str | None
    parameters: int | None
    bytes: int | None
    context_length: int | None
    base: str | None
    weights_digest: str | None
    adapter_digest: str | None
    tokenizer_digest: str | None


class ModelList(Document):
    """One page of models, by id."""

    object: Literal["list"]
    data: list[Model]
    has_more: bool
    next_cursor: str | None
