"""Imports: samples that another tool drew, as a side of an analysis."""

from typing import Annotated, Literal, get_args

from pydantic import Field

from api_schemas.analyses import Status
from api_schemas.base import Document
from api_schemas.problems import Problem
from api_schemas.results import Warning

ImportFormat = Literal["lm-eval", "inspect", "jsonl", "openai-evals", "evalplus"]
FORMATS: tuple[str, ...] = get_args(ImportFormat)


class ImportedCounts(Document):
    """Fewest and most samples of a prompt."""

    fewest: int
    most: int


class ImportSummary(Document):
    """What a log holds, and what can be made of it."""

    model: Annotated[str | None, Field(description="Who wrote the samples, where the log says.")]
    prompts: int
    samples: int
    samples_per_prompt: ImportedCounts
    answers: Annotated[int, Field(description="Prompts that have an accepted answer.")]
    logprobs: Annotated[int, Field(description="Samples with a log-probability of their own.")]
    sampling: Annotated[
        dict[str, float | int | str | bool], Field(description="Settings, where the log says.")
    ]
    filters: Annotated[list[str], Field(description="Filters that the log has been through (lm-eval).")]
    supports: Annotated[list[str], Field(description="Kinds of analysis that it can be a side of.")]


class Import(Document):
    """An import: parsed by a worker; an analysis that names it waits for it."""

    id: Annotated[str, Field(examples=["imp_01JD8ZC6Q5V6TQ3N4R5S6T7V8W"])]
    object: Literal["import"]
    format: ImportFormat
    name: str | None
    status: Status
    filter: Annotated[str | None, Field(description="The filter that was asked for.")]
    sha256: Annotated[str, Field(description="Of the file as it arrived.")]
    bytes: int
    summary: ImportSummary | None
    error: Problem | None
    warnings: list[Warning]
    created_at: str
    finished_at: str | None


class ImportList(Document):
    """One page of imports, newest first."""

    object: Literal["list"]
    data: list[Import]
    has_more: bool
    next_cursor: str | None
