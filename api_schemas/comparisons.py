"""Finished analyses side by side."""

from typing import Annotated, Literal

from pydantic import Field

from api_schemas.analyses import Status
from api_schemas.base import SparseDocument
from api_schemas.estimates import DatasetEstimate
from api_schemas.requests import Kind
from api_schemas.results import CreationShare, Gain, VerdictLabel, Warning


class ComparedSuccess(SparseDocument):
    """Chance of success of each side, means over prompts."""

    reference: DatasetEstimate
    candidate: DatasetEstimate | None = None


class ComparedVerdict(SparseDocument):
    """The verdict without what led to it."""

    label: VerdictLabel
    sentence: str
    creation_share: CreationShare


class ComparedFreeEnergy(SparseDocument):
    """KL(q||p), y ~ q, and its parts; nats, means over prompts."""

    kl: DatasetEstimate
    tilt: DatasetEstimate
    drift: DatasetEstimate
    escape: DatasetEstimate


class Compared(SparseDocument):
    """What one analysis found, or one checkpoint of a trajectory; what it did not compute is absent."""

    analysis_id: str
    name: str | None
    labels: dict[str, str]
    kind: Kind
    status: Status
    partial: bool
    checkpoint: Annotated[int | None, Field(description="Of a trajectory: which checkpoint.")] = None
    candidate: Annotated[str | None, Field(description="The checkpoint's model.")] = None
    success: ComparedSuccess
    verdict: ComparedVerdict | None = None
    gain: Gain | None = None
    free_energy: ComparedFreeEnergy | None = None
    regimes: dict[str, int] | None = None


class Comparison(SparseDocument):
    """Finished analyses in the order asked for; a trajectory gives one entry a checkpoint."""

    object: Literal["comparison"]
    data: list[Compared]
    warnings: Annotated[
        list[Warning], Field(description="In what the requests differ beside the models compared.")
    ]
