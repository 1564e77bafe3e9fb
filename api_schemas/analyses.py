"""The analysis object: a job, its state and its progress."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field

from api_schemas.base import Document
from api_schemas.problems import Problem
from api_schemas.requests import Kind

Status = Literal["queued", "running", "cancelling", "succeeded", "failed", "cancelled", "expired"]
Phase = Literal["planning", "sampling", "verifying", "scoring", "estimating", "reporting"]
LIVE: frozenset[str] = frozenset({"queued", "running", "cancelling"})


class Progress(Document):
    """How far an analysis is; `total` grows when a round is added."""

    phase: Phase
    completed: int
    total: int
    fraction: Annotated[float, Field(ge=0, le=1)]
    eta_seconds: float | None


class Usage(Document):
    """What an analysis has spent, over all sides and nulls; `samples` counts new draws."""

    samples: int
    sampled_tokens: int
    scored_tokens: int
    cached_samples: int
    engine_seconds: float


class ItemError(Document):
    """A part of the plan that could not be done."""

    prompt_id: str | None
    code: str
    detail: str


class Links(Document):
    """Where to go from here."""

    self: str
    cancel: str
    extend: str
    events: str
    result: str
    report: str

    @classmethod
    def of(cls, analysis_id: str) -> Self:
        """Where an analysis and what it leads to are."""
        own = f"/v1/analyses/{analysis_id}"
        return cls(
            self=own,
            cancel=f"{own}/cancel",
            extend=f"{own}/extend",
            events=f"{own}/events",
            result=f"{own}/result",
            report=f"{own}/report",
        )


class Analysis(Document):
    """An analysis."""

    id: Annotated[str, Field(examples=["anl_01JD8ZC6Q5V6TQ3N4R5S6T7V8W"])]
    object: Literal["analysis"]
    kind: Kind
    name: str | None
    labels: dict[str, str]
    status: Status
    partial: bool
    version: int
    revision: Annotated[int, Field(description="1, and one more for each time the analysis was extended.")]
    result_revision: Annotated[
        int | None,
        Field(description="Of the result there is: that of before while an extension runs; null without."),
    ]
    progress: Progress
    spec: dict[str, Any]
    usage: Usage
    error: Problem | None
    errors: list[ItemError]
    created_at: str
    started_at: str | None
    finished_at: str | None
    deadline_at: str | None
    retained_until: str | None
    links: Links


class AnalysisList(Document):
    """One page of analyses, newest first."""

    object: Literal["list"]
    data: list[Analysis]
    has_more: bool
    next_cursor: str | None
