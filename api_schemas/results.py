"""The result document; see `rows` for the rows behind it.

What is not computed for an analysis (no candidate, different tokenizers, not built yet) is absent; what is
computed and has no value is an `Estimate` with a status and a reason.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from api_schemas.arms import ArmRole
from api_schemas.audits import VerifierAuditResult
from api_schemas.base import SparseDocument
from api_schemas.demonstrated import Demonstrations
from api_schemas.estimates import DatasetEstimate, Estimate
from api_schemas.free_energy import FreeEnergy
from api_schemas.requests import Kind
from api_schemas.rows import ReachClass
from api_schemas.shrinkage import CheckpointShrinkage, FirstShrinkage

VerdictLabel = Literal["elicitation", "creation", "mixed", "inconclusive"]


class PassAtK(SparseDocument):
    """One point of a pass@k curve."""

    k: int
    estimate: DatasetEstimate


class CoveragePoint(SparseDocument):
    """Share of prompts whose success probability is at least tau."""

    tau: float
    estimate: DatasetEstimate


class ClassesAtK(SparseDocument):
    """How many prompts are in, out of reach or undetermined at one budget, each at level alpha."""

    k: int
    epsilon: Annotated[float, Field(description="Least chance of success that counts as within reach.")]
    budget_nats: Annotated[float, Field(description="The same as a price: -log epsilon.")]
    prompts: dict[ReachClass, int]


class SideSupport(SparseDocument):
    """What one side reaches."""

    success: DatasetEstimate
    pass_at_k: list[PassAtK]
    coverage: list[CoveragePoint]
    classes: list[ClassesAtK] | None = None
    outcomes: dict[str, int]
    behaviour_entropy: Annotated[
        DatasetEstimate | None, Field(description="Entropy of the behaviours of successes, nats.")
    ] = None
    unseen_mass: Annotated[
        DatasetEstimate | None,
        Field(description="Good-Turing mass of behaviours that the pilot did not show."),
    ] = None
    novel_mass: Annotated[
        DatasetEstimate | None,
        Field(description="The candidate's mass on behaviours that no reference sample showed."),
    ] = None


class ArmSupport(SparseDocument):
    """What the reference reaches under one arm, over the prompts on which it was drawn."""

    arm: str
    role: ArmRole
    prompts: Annotated[int, Field(description="Prompts on which it was drawn.")]
    samples: int
    successes: int
    reached: Annotated[int, Field(description="Prompts that are `in` at k_probe under this arm.")]
    out: Annotated[int, Field(description="Prompts that are `out` at k_probe under this arm.")]
    undetermined: int
    success: Annotated[
        DatasetEstimate | None,
        Field(description="Mean over prompts, where the arm draws a pilot of every prompt."),
    ] = None


class LiteratureRule(SparseDocument):
    """What the single-budget rule `unseen in K samples` would have said."""

    budget: int
    unreached: int
    created_claims: int


class Retention(SparseDocument):
    """Support-change metrics of arXiv 2507.14843, beside their null from two halves of one model."""

    budget: int
    srr: Estimate
    ndr: Estimate
    sds: Estimate
    nscr: Estimate
    null: dict[str, Estimate] | None = None


class Support(SparseDocument):
    """Reach of the sides, and the regimes of the prompts."""

    reference: SideSupport
    candidate: SideSupport | None = None
    arms: list[ArmSupport] | None = None
    regimes: dict[str, int] | None = None
    literature_rule: LiteratureRule | None = None
    retention: Retention | None = None
    crossing_k: Estimate | None = None


class VerdictAtK(SparseDocument):
    """The verdict had K_probe been something else."""

    k_probe: int
    label: VerdictLabel
    creation_share_lower: float | None = None
    creation_share_upper: float | None = None


class CreationShare(SparseDocument):
    """The partially identified share of created gain: [created, created + undetermined] / gain."""

    lower: Estimate
    upper: Estimate


class Verdict(SparseDocument):
    """The answer."""

    label: VerdictLabel
    sentence: str
    creation_share: CreationShare
    findings: list[str]
    reasons: list[str]
    by_k_probe: list[VerdictAtK]
    gain_p_value: Annotated[
        float, Field(description="One-sided sign-flip test of a gain among the prompts that are not lost.")
    ]
    certified: Annotated[dict[str, int], Field(description="Prompts certified elicited, confirmed created.")]
    samples_to_settle: Annotated[
        int | None, Field(description="Further samples that would settle what is undetermined, if known.")
    ]


class Gain(SparseDocument):
    """E_q[r] - E_p[r], split; the parts sum to the total."""

    total: DatasetEstimate
    elicited: DatasetEstimate
    created: DatasetEstimate
    lost: DatasetEstimate
    undetermined: DatasetEstimate


class Null(SparseDocument):
    """A null experiment on samples already drawn."""

    null: str
    status: Literal["passed", "failed", "not_run"]
    expected: dict[str, float]
    observed: dict[str, float]
    reason: str


class Diagnostics(SparseDocument):
    """What grades the estimates; means over the prompts where defined."""

    ess: Estimate | None = None
    pareto_k: Estimate | None = None
    overlap: Estimate | None = None
    singular_mass: DatasetEstimate | None = None
    chance_floor: Estimate | None = None
    verifier_audit: VerifierAuditResult | None = None
    truncated_share: dict[str, float]
    unparsed_share: dict[str, float]
    duplicate_share: dict[str, float]


class Warning(SparseDocument):
    """Something a reader must know before quoting a number."""

    code: str
    detail: str


class CheckpointResult(SparseDocument):
    """One checkpoint of a trajectory against the reference."""

    checkpoint: int
    candidate: str
    step: int | None
    shrinkage: CheckpointShrinkage
    success_step: Annotated[
        DatasetEstimate | None,
        Field(
            description="With `score_neighbours`: mean over prompts of log b minus that of the checkpoint "
            "before, or of the reference; nats, by BAR over the successes of both."
        ),
    ] = None
    verdict: Verdict | None = None
    gain: Gain | None = None
    free_energy: FreeEnergy | None = None
    support: Support
    nulls: list[Null]
    diagnostics: Diagnostics
    warnings: list[Warning]


class ResultDocument(SparseDocument):
    """Everything one analysis found."""

    object: Literal["analysis.result"]
    analysis_id: str
    kind: Kind
    partial: bool
    revision: Annotated[
        int | None, Field(description="1, and one more for each time the analysis was extended.")
    ] = None
    frame: dict[str, Any]
    verdict: Verdict | None = None
    gain: Gain | None = None
    checkpoints: Annotated[
        list[CheckpointResult] | None, Field(description="Of a trajectory, in training order.")
    ] = None
    first_shrinkage: Annotated[
        FirstShrinkage | None,
        Field(description="First checkpoint at which shrinkage is certified, at alpha for the whole run."),
    ] = None
    support: Support
    free_energy: FreeEnergy | None = None
    demonstrations: Demonstrations | None = None
    nulls: list[Null]
    diagnostics: Diagnostics
    usage: dict[str, Any]
    warnings: list[Warning]
