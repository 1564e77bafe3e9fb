"""The free-energy decomposition in the result document."""

from typing import Annotated

from pydantic import Field

from api_schemas.base import JsonObject, SparseDocument
from api_schemas.estimates import DatasetEstimate


class MeanEnergy(SparseDocument):
    """Mean energy E = -r of each side."""

    reference: DatasetEstimate
    candidate: DatasetEstimate


class SideEntropy(SparseDocument):
    """Entropy of the sampled sequences, nats a sequence."""

    reference: DatasetEstimate | None = None
    candidate: DatasetEstimate | None = None


class FreeEnergyAtBeta(SparseDocument):
    """Free-energy terms at one inverse temperature, means over prompts."""

    inverse_temperature: float
    log_partition: DatasetEstimate
    equilibrium: DatasetEstimate
    free_energy: DatasetEstimate
    gap: DatasetEstimate


class PositionKL(SparseDocument):
    """Nats at one token position, means over prompts (0 once a sample ended); each sums to its KL.

    `estimate` is of KL(q||p) along candidate samples, `reverse` of KL(p||q) along reference samples.
    """

    position: int
    estimate: DatasetEstimate
    reverse: DatasetEstimate | None = None


class DriftParts(SparseDocument):
    """Drift split by the behaviour of each success: between behaviours, and within them and failures."""

    strategy_level: DatasetEstimate
    within_strategy: DatasetEstimate


class Behaviours(SparseDocument):
    """Behaviours of the candidate over all prompts, by class of the reference at K_probe."""

    judged: int
    within_reach: int
    out_of_reach: int
    undetermined: int
    error_control: str


class ResponsePoint(SparseDocument):
    """The reference tilted by beta: E_{p_beta}[r] and Var_{p_beta}(r), means over prompts."""

    inverse_temperature: float
    mean_reward: DatasetEstimate
    heat_capacity: DatasetEstimate


class Certificate(SparseDocument):
    """The KL certificate -log a <= (KL + H(b))/b, beside the budget it is held against."""

    price_bound: DatasetEstimate
    budget: float
    certified_prompts: int


class ClosureCheck(SparseDocument):
    """An identity that must hold, and by how much it does."""

    check: str
    residual: float | None
    tolerance: float
    passed: bool
    blocking: bool


class UntruncatedKL(SparseDocument):
    """KL(q||p) from separate draws of the candidate at temperature 1 without truncation.

    Means over prompts. The law of the request's policy gives zero to part of what the candidate draws, so
    its own KL is not defined; this one is of other laws, those of `policy`.
    """

    kl: DatasetEstimate
    kl_k1: DatasetEstimate
    samples_per_prompt: int
    policy: JsonObject


class FreeEnergy(SparseDocument):
    """The free-energy decomposition; nats, KL is KL(q||p) with y ~ q."""

    kl: DatasetEstimate
    kl_k1: DatasetEstimate
    kl_per_token: DatasetEstimate
    kl_reverse: Annotated[
        DatasetEstimate | None, Field(description="KL(p||q) along reference draws, y ~ p.")
    ] = None
    kl_reverse_k1: DatasetEstimate | None = None
    kl_untruncated: UntruncatedKL | None = None
    tilt: DatasetEstimate
    drift: DatasetEstimate
    escape: DatasetEstimate
    retreat: DatasetEstimate | None = None
    drift_parts: DriftParts | None = None
    behaviours: Behaviours | None = None
    mean_energy: MeanEnergy
    matched_inverse_temperature: DatasetEstimate
    by_inverse_temperature: list[FreeEnergyAtBeta]
    response: list[ResponsePoint] | None = None
    entropy: SideEntropy | None = None
    by_position: list[PositionKL] | None = None
    certificate: Certificate | None = None
    closure: list[ClosureCheck]
