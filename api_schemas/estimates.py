"""Numbers with their error."""

from typing import Annotated, Literal

from pydantic import Field

from api_schemas.base import Document


class Estimate(Document):
    """A number with its error, or the reason why there is none."""

    value: float | None
    std_error: float | None
    ci_low: float | None
    ci_high: float | None
    confidence: float | None
    n: int
    unit: str
    status: Literal["ok", "unreliable", "undefined", "censored"]
    reason: str


class DatasetEstimate(Estimate):
    """A mean over prompts: the interval is for the population of prompts."""

    sampling_std_error: Annotated[
        float | None, Field(description="Standard error for exactly these prompts: sampling alone.")
    ]
