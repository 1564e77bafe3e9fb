"""Demonstrations as a result has them: what both models say of texts that the request brought."""

from typing import Annotated

from pydantic import Field

from api_schemas.base import SparseDocument
from api_schemas.estimates import DatasetEstimate, Estimate


class OfBothSides(SparseDocument):
    """One figure of both models."""

    reference: DatasetEstimate
    candidate: DatasetEstimate


class CrossEntropy(OfBothSides):
    """-E log of the model's probability over the demonstrations; nats a sequence."""

    change: Annotated[DatasetEstimate, Field(description="Candidate's less reference's, paired.")]


class CoverageAtN(OfBothSides):
    """P over demonstrations that the ratio of their own probability to the model's is at least n."""

    n: int


class Demonstrations(SparseDocument):
    """What both models say of the demonstrations."""

    count: int
    cross_entropy: CrossEntropy
    cross_entropy_per_token: OfBothSides
    atypical_share: Annotated[
        DatasetEstimate,
        Field(
            description="Of demonstrations whose typicality is at most 0.05: at most 5 % if the reference "
            "drew them."
        ),
    ]
    kl_from_teacher: Annotated[OfBothSides, Field(description="KL(π_D‖p) and KL(π_D‖q), nats.")]
    kl_to_teacher: Annotated[Estimate, Field(description="KL(q‖π_D), nats.")]
    coverage: list[CoverageAtN]


class PriceOfBothSides(SparseDocument):
    """-log of one demonstration's probability under both models, nats."""

    reference: Estimate
    candidate: Estimate


class DemonstrationRow(SparseDocument):
    """One demonstration of a prompt."""

    index: int
    tokens: Annotated[int, Field(description="EOS included.")]
    price: PriceOfBothSides
    typicality: Annotated[
        Estimate,
        Field(
            description="One-sided p-value of its price among the reference's own finished samples of "
            "matched length."
        ),
    ]
