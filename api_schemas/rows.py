"""Prompt rows: what was found about each prompt; what was not computed is absent, as in the result."""

from typing import Annotated, Literal

from pydantic import Field

from api_schemas.arms import ArmRole
from api_schemas.base import SparseDocument
from api_schemas.demonstrated import DemonstrationRow, KLToTeacherRow
from api_schemas.estimates import Estimate
from api_schemas.support_zeros import SupportZeros
from api_schemas.weights import WeightsRow

Regime = Literal["lost", "basin", "tail", "singular", "barrier", "unreached", "beyond", "undetermined"]
ReachClass = Literal["in", "out", "undetermined"]


class SideRow(SparseDocument):
    """One side of one prompt.

    `success` is the chance of one success: for the reference the point that pools scored draws where that is
    sound, else the pilot's rate; its interval may use every sample. A row's `gain` is of the pilots alone.
    """

    successes: int
    samples: int
    success: Estimate
    price: Estimate
    margin: Annotated[
        Estimate | None,
        Field(description="Budget at k_probe minus price, nats; within reach if not negative."),
    ] = None
    class_at_k_use: ReachClass
    class_at_k_probe: ReachClass
    behaviours: Annotated[
        dict[str, int] | None, Field(description="The labels that occur most, with their counts.")
    ] = None
    behaviour_entropy: Estimate | None = None
    unseen_mass: Estimate | None = None
    novel_mass: Estimate | None = None


class ArmRow(SparseDocument):
    """The reference on one prompt under one arm that was drawn there."""

    arm: str
    role: ArmRole
    successes: int
    samples: int
    success: Estimate
    class_at_k_probe: ReachClass


class Confirmation(SparseDocument):
    """One requirement of a confirmed creation claim."""

    check: str
    passed: bool
    detail: str


class FreeEnergyRow(SparseDocument):
    """Free-energy terms of one prompt at one inverse temperature."""

    inverse_temperature: float
    log_partition: Estimate
    equilibrium: Estimate
    free_energy: Estimate | None = None
    gap: Estimate | None = None


class BehaviourCount(SparseDocument):
    """How often one side showed a behaviour."""

    successes: int
    samples: int


class BehaviourRow(SparseDocument):
    """A behaviour of the candidate on one prompt; null is a success without a label."""

    behaviour: str | None
    reference: BehaviourCount
    candidate: BehaviourCount
    class_at_k_probe: ReachClass


class DriftPartsRow(SparseDocument):
    """Drift of one prompt, between behaviours and within them."""

    strategy_level: Estimate
    within_strategy: Estimate


class VerifierDisagreement(SparseDocument):
    """A success that the second verifier does not accept."""

    side: str
    index: int
    outcome: str
    detail: str


class SecondVerifierRow(SparseDocument):
    """What the second verifier said of the rare successes of one prompt: by side, or `arm:NAME`."""

    checked: dict[str, int]
    disagreements: list[VerifierDisagreement]
    reference_class_holds: bool
    unsettled_arms: Annotated[
        list[str] | None,
        Field(description="Arms that reach at K_probe with the refused successes, and not without them."),
    ] = None


class PromptRow(SparseDocument):
    """What was found about one prompt."""

    prompt_id: str
    checkpoint: Annotated[int | None, Field(description="Of a trajectory: which checkpoint.")] = None
    success_step: Annotated[
        Estimate | None,
        Field(description="With `score_neighbours`: as the checkpoint's, of this prompt; nats."),
    ] = None
    family: str | None
    split: str | None
    regime: Regime | None = None
    confirmed: bool | None = None
    confirmation: list[Confirmation] | None = None
    gain: Estimate | None = None
    reference: SideRow
    candidate: SideRow | None = None
    kl: Estimate | None = None
    kl_reverse: Estimate | None = None
    tilt: Estimate | None = None
    drift: Estimate | None = None
    escape: Estimate | None = None
    drift_parts: DriftPartsRow | None = None
    behaviours: list[BehaviourRow] | None = None
    log_partition: list[FreeEnergyRow] | None = None
    arms: list[ArmRow] | None = None
    deciding_arm: Annotated[
        str | None, Field(description="The arm that decides the regime; null where the own policy does.")
    ] = None
    demonstrations: list[DemonstrationRow] | None = None
    kl_to_teacher: Annotated[
        KLToTeacherRow | None, Field(description="With demonstrations: KL(p‖π_D) and KL(q‖π_D), nats.")
    ] = None
    support_zeros: SupportZeros | None = None
    weights: Annotated[
        WeightsRow | None, Field(description="Where scored draws speak for the reference's success.")
    ] = None
    evidence: list[str]
    second_verifier: SecondVerifierRow | None = None
    samples_to_settle: Annotated[
        int | None,
        Field(description="Further samples that would settle it: 0 where it is settled, null if unknown."),
    ]


class PromptRowList(SparseDocument):
    """One page of prompt rows."""

    object: Literal["list"]
    data: list[PromptRow]
    has_more: bool
    next_cursor: str | None
