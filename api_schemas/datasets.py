"""Data sets: prompts kept under an id, by content."""

from typing import Annotated, Literal

from pydantic import Field

from api_schemas.base import Document


class Dataset(Document):
    """A data set: immutable, so that an analysis that names it can be repeated."""

    id: Annotated[str, Field(examples=["ds_01JD8ZC6Q5V6TQ3N4R5S6T7V8W"])]
    object: Literal["dataset"]
    name: str | None
    sha256: Annotated[str, Field(description="Of the content: equal prompts in equal order have one id.")]
    prompts: int
    bytes: int
    families: Annotated[int, Field(description="Distinct families.")]
    splits: Annotated[dict[str, int], Field(description="Prompts of each split.")]
    created_at: str


class DatasetList(Document):
    """One page of data sets, newest first."""

    object: Literal["list"]
    data: list[Dataset]
    has_more: bool
    next_cursor: str | None
