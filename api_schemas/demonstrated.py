"""Demonstrations as a result has them: what the models say of texts that the request brought."""

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


class KLToTeacher(OfBothSides):
    """KL of both models to the demonstrations' law, each over the model's own samples; nats a sequence."""

    change: Annotated[
        DatasetEstimate,
        Field(description="KL(q‖π_D) - KL(p‖π_D): below 0 where the candidate is nearer than the reference."),
    ]


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
    kl_to_teacher: Annotated[
        KLToTeacher,
        Field(
            description="KL(p‖π_D) and KL(q‖π_D), nats, Rao-Blackwellised over the full vocabulary; takes a "
            "`teacher`. With E = -log(π_D/p) the free energy F_1(q) is KL(q‖π_D), and its minimum 0, at π_D: "
            "the candidate's figure is its gap."
        ),
    ]
    kl_to_teacher_k1: Annotated[
        OfBothSides, Field(description="The same by the mean of log q - log π_D, the cross-check; noisier.")
    ]
    coverage: list[CoverageAtN]


class DemonstrationPrice(SparseDocument):
    """-log of one demonstration's probability under both models and under its own law, nats."""

    reference: Estimate
    candidate: Estimate
    teacher: Annotated[Estimate, Field(description="-log π_D(y): by `teacher`, or as `logprob` gives it.")]


class DemonstrationRow(SparseDocument):
    """One demonstration of a prompt."""

    index: int
    tokens: Annotated[int, Field(description="EOS included.")]
    price: DemonstrationPrice
    typicality: Annotated[
        Estimate,
        Field(
            description="One-sided p-value of its price among the reference's own finished samples of "
            "matched length."
        ),
    ]


class KLToTeacherRow(SparseDocument):
    """KL of both models to the demonstrations' law on one prompt, over the model's own samples; nats."""

    reference: Estimate
    candidate: Estimate
