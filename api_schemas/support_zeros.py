"""Where the reference gives probability zero to what the candidate gets right."""

from typing import Annotated

from pydantic import Field

from api_schemas.base import Document


class SupportZeros(Document):
    """Successes of the candidate's scored pilot that the reference gives probability zero."""

    successes: Annotated[int, Field(description="Successes that were scored.")]
    causes: Annotated[
        dict[str, int],
        Field(description="Those with a zero, by cause: `vocabulary`, `top_k`, `top_p` or `min_p`."),
    ]
    edge: Annotated[
        int, Field(description="Those whose only zeros lie within rounding of the nucleus edge: no evidence.")
    ]
