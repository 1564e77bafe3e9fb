"""What an analysis would do, before it is accepted."""

from typing import Annotated, Literal

from pydantic import Field

from api_schemas.base import Document


class PlannedFigure(Document):
    """A number reckoned from the request, and from what; or the reason why there is none."""

    value: float | None
    unit: str
    reason: Annotated[str, Field(description="What the number assumes, or why there is none.")]


class PlannedRange(Document):
    """What is spent in any case, and at most; they differ where sampling is adaptive."""

    pilot: int
    maximum: int


class SmallestDetectable(Document):
    """Effects that the pilot would show; smaller ones may go unnoticed."""

    gain: PlannedFigure
    success: PlannedFigure


class AnalysisPlan(Document):
    """The answer to `validate_only`: nothing is stored."""

    object: Literal["analysis.plan"]
    prompts: int
    samples: Annotated[PlannedRange, Field(description="Over all prompts and sides.")]
    tokens: Annotated[PlannedRange, Field(description="New ones, if every sample were as long as it may be.")]
    scored_tokens: Annotated[
        PlannedRange,
        Field(
            description="Tokens that a model reads without having drawn them: samples of other models, each "
            "once by every model that scores it, and demonstrations; at most also what arms draw where "
            "`share_proposals` has their successes scored. If each were as long as it may be."
        ),
    ]
    cached_samples: Annotated[
        int,
        Field(
            description="Of the sides' pilots: samples that an earlier analysis drew, so that they are read "
            "instead. Arms are not counted, nor what is beyond the pilot."
        ),
    ]
    seconds: Annotated[PlannedFigure, Field(description="For the pilot, once a worker is free.")]
    maximum_seconds: Annotated[PlannedFigure, Field(description="For everything that may be drawn.")]
    smallest_detectable: SmallestDetectable
