"""What an analysis may spend beyond what it was submitted with."""

from typing import Annotated

from pydantic import Field

from api_schemas.base import Document
from api_schemas.requests import MAX_SAMPLES_PER_PROMPT

Count = Annotated[int, Field(ge=1, le=MAX_SAMPLES_PER_PROMPT)]


class LargerBudget(Document):
    """The parts of a budget that may grow; what is left out stays, and so do k_use and k_probe."""

    samples_per_prompt: Count | None = None
    max_samples_per_prompt: Count | None = None
    max_total_tokens: Annotated[
        int | None, Field(ge=1, description="Null lifts the limit; left out, it stays.")
    ] = None
    untruncated_samples_per_prompt: Count | None = None


class AnalysisExtension(Document):
    """How an analysis that has ended goes on.

    After success the budget must be larger. An analysis that ended early, with a partial result, may also go
    on under the budget it had.
    """

    budget: LargerBudget = LargerBudget()
    deadline_seconds: Annotated[
        int | None, Field(ge=1, le=30 * 86_400, description="From now; without it, there is none.")
    ] = None
