"""How far the importance weights of one prompt can be trusted."""

from typing import Annotated, Literal

from pydantic import Field

from api_schemas.base import Document


class WeightsRow(Document):
    """Diagnostics of the weights p/mixture of a prompt's scored successes; the mixture is of both sides.

    None of them sees a mode of success that no draw visited.
    """

    draws: Annotated[int, Field(description="Samples of both sides, failures included.")]
    successes: Annotated[int, Field(description="Successes that the reference gives a chance.")]
    ess: Annotated[float, Field(description="Effective number of successes: (Σw)²/Σw².")]
    largest_share: Annotated[
        float | None, Field(description="Share of the weight that one success carries; null without any.")
    ]
    log_spread: Annotated[
        float, Field(description="Standard deviation of log w over successes, nats; scoring refuses above 3.")
    ]
    log_range: Annotated[float, Field(description="Largest minus least log w, nats.")]
    pareto_k: Annotated[
        float | None, Field(description="PSIS shape of the largest weights; null where none can be fitted.")
    ]
    status: Literal["ok", "unreliable", "undefined"]
    reason: str
