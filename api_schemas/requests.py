"""What a caller asks for."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from api_schemas.arms import MAX_ARMS, Arm, covers_untruncated, repaired, untruncated_arm
from api_schemas.audits import VerifierAudit
from api_schemas.base import Document
from api_schemas.format_repair import repair_instruction
from api_schemas.participants import Checkpoint, ImportParticipant, ModelParticipant, Participant
from api_schemas.policies import Policy
from api_schemas.prompts import Prompts
from api_schemas.signals import Signal

MAX_K = 1_000_000
"""Largest budget: certifying beyond it takes more than the ten million samples an analysis may plan."""

MAX_SAMPLES_PER_PROMPT = 10_000_000
LEAST_ALPHA = 1e-6
"""Error level: below it no sample size that an analysis may plan decides anything."""

LEAST_BETA, GREATEST_BETA = 0.001, 300.0
"""Inverse temperatures, in 1/reward: below, free energies are KL times a thousand; above, they are the price
of success to every printed digit."""

Kind = Literal["support", "free_energy", "capability", "trajectory"]
MAX_CHECKPOINTS = 64
"""Checkpoints of a trajectory: each costs a pilot of every prompt, and a chart shows no more."""

LabelText = Annotated[str, StringConstraints(min_length=1, max_length=512)]
LabelKey = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^:]+$")]


class Budget(Document):
    """What may be spent, and the two budgets that define reach."""

    k_use: Annotated[int, Field(ge=1, le=MAX_K)] = 8
    k_probe: Annotated[int, Field(ge=1, le=MAX_K)] = 256
    samples_per_prompt: Annotated[int, Field(ge=2, le=MAX_SAMPLES_PER_PROMPT)] = 64
    max_samples_per_prompt: Annotated[int, Field(ge=2, le=MAX_SAMPLES_PER_PROMPT)] = 4096
    max_total_tokens: Annotated[int, Field(ge=1)] | None = None
    adaptive: bool = True
    untruncated_samples_per_prompt: Annotated[int, Field(ge=0, le=MAX_SAMPLES_PER_PROMPT)] = Field(
        64,
        description="Under a truncated policy: draws of the candidate at temperature 1 without truncation, "
        "for a KL that exists. 0 draws none.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.k_probe < self.k_use:
            raise ValueError(
                f"k_probe ({self.k_probe}) must be at least k_use ({self.k_use}): it is what we are "
                "willing to give the reference before saying that it cannot"
            )
        if self.max_samples_per_prompt < self.samples_per_prompt:
            raise ValueError("max_samples_per_prompt must be at least samples_per_prompt")
        return self


class Decision(Document):
    """The thresholds of the verdict."""

    alpha: Annotated[float, Field(ge=LEAST_ALPHA, lt=0.5)] = 0.05
    reach: Annotated[float, Field(ge=0.001, le=0.999)] = 0.5
    elicitation_max_share: Annotated[float, Field(ge=0, le=1)] = 0.05
    creation_min_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    mixed_min_share: Annotated[float, Field(ge=0, le=1)] = 0.05
    mixed_max_share: Annotated[float, Field(ge=0, le=1)] = 0.95
    undetermined_max_share: Annotated[float, Field(ge=0, le=1)] = 0.3
    unusable_max_share: Annotated[float, Field(ge=0, le=1)] = 0.1
    collapse_max_entropy_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    drift_dominated_min_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    drift_dominated_min_nats: Annotated[float, Field(ge=0, le=1e6)] = 0.1
    format_repair_max_share: Annotated[float, Field(ge=0, le=1)] = 0.5


class AnalysisRequest(Document):
    """An analysis to run."""

    kind: Kind
    name: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    labels: Annotated[dict[LabelKey, LabelText], Field(max_length=16)] = Field(default={})
    reference: Participant
    candidate: Participant | None = None
    candidates: Annotated[
        list[Checkpoint] | None,
        Field(
            min_length=1,
            max_length=MAX_CHECKPOINTS,
            description="Checkpoints of one run in training order, for kind `trajectory`.",
        ),
    ] = None
    teacher: ModelParticipant | None = Field(
        None,
        description="For the signal `demonstrations`: the model they were drawn from, with the reference's "
        "tokenizer. It scores them, and the pilots of both sides, which gives KL(q‖π_D). It draws nothing.",
    )
    score_neighbours: bool = Field(
        False,
        description="For kind `trajectory`: score each checkpoint's pilot under the checkpoints beside it "
        "too. `success_step` then tells how far the price of success falls from one to the next; a pilot is "
        "read up to three times instead of once.",
    )
    share_proposals: bool = Field(
        False,
        description="Let samples of others show what the reference reaches under its own policy: the "
        "successes of its elicitation arms, which it then scores, and, for kind `trajectory`, every "
        "checkpoint's scored samples when another checkpoint is judged. Draws nothing more; evidence is "
        "averaged over them, so each weighs less. Arms with other `stop` or `max_new_tokens` than the "
        "analysis's are left out.",
    )
    prompts: Prompts | None = Field(
        None, description="Required unless every side is an import; then those of the imports are meant."
    )
    signal: Signal
    second_signal: Signal | None = Field(
        None, description="Judges each rare success again; what it refuses is listed, and confirms nothing."
    )
    audit: VerifierAudit | None = None
    policy: Policy = Policy()
    budget: Budget = Budget()
    arms: Annotated[list[Arm], Field(max_length=MAX_ARMS)] = Field(
        default=[],
        description="Other ways to sample the reference. It is out of reach only where it is out under every "
        "elicitation arm; an assisted arm that reaches makes a created prompt a barrier.",
    )
    inverse_temperatures: Annotated[
        list[Annotated[float, Field(ge=LEAST_BETA, le=GREATEST_BETA)]], Field(min_length=1, max_length=32)
    ] = Field(default=[0.5, 1.0, 2.0])
    decision: Decision = Decision()
    deadline_seconds: Annotated[int, Field(ge=1, le=30 * 86_400)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0

    @model_validator(mode="after")
    def _logs_where_they_can_be(self) -> Self:
        sides = [side for side in (self.reference, self.candidate) if side is not None]
        imported = [side for side in sides if isinstance(side, ImportParticipant)]
        if self.prompts is None and len(imported) < len(sides):
            raise ValueError("`prompts` is required unless every side is an import")
        if self.kind in ("free_energy", "trajectory") and imported:
            raise ValueError(
                f"kind `{self.kind}` needs the models of all sides: an imported log has no scores of the "
                "other side; ask for `capability` or `support`"
            )
        if self.arms and isinstance(self.reference, ImportParticipant):
            raise ValueError(
                "`arms` draw from the reference's model, and an imported log has none; leave them out"
            )
        return self

    @model_validator(mode="after")
    def _demonstrations_where_they_can_be(self) -> Self:
        if self.second_signal is not None and self.second_signal.kind == "demonstrations":
            raise ValueError("`demonstrations` cannot judge a second time; name another `second_signal`")
        if self.signal.kind != "demonstrations":
            if self.teacher is not None:
                raise ValueError(
                    "`teacher` is the law of demonstrations, for the signal `demonstrations`; leave it out, "
                    "or ask for that signal"
                )
            return self
        if self.kind != "free_energy":
            raise ValueError(
                f"the signal `demonstrations` is for kind `free_energy`: it says how near a model is to "
                f"texts, not whether a new text is right. Ask for `{self.kind}` with a verifier beside it"
            )
        policy = self.policy
        truncates = policy.top_k or policy.top_p < 1 or policy.min_p
        if truncates or policy.temperature != 1 or policy.stop:
            raise ValueError(
                "the signal `demonstrations` scores whole texts, EOS included, under the models' own laws: "
                "leave `policy` at temperature 1, without top_k, top_p, min_p and stop"
            )
        return self

    @model_validator(mode="after")
    def _two_sides(self) -> Self:
        if self.kind == "trajectory":
            if self.candidates is None:
                raise ValueError(
                    "`candidates` is required for kind `trajectory`: checkpoints in training order"
                )
            if self.candidate is not None:
                raise ValueError(
                    "kind `trajectory` takes `candidates`, not `candidate`; leave `candidate` out"
                )
            return self
        if self.candidates is not None:
            raise ValueError(f"`candidates` is for kind `trajectory`; kind `{self.kind}` takes `candidate`")
        if self.score_neighbours:
            raise ValueError(f"`score_neighbours` is for kind `trajectory`, not `{self.kind}`")
        if self.kind != "support" and self.candidate is None:
            raise ValueError(f"`candidate` is required for kind `{self.kind}`")
        return self

    @field_validator("candidates")
    @classmethod
    def _one_run(cls, value: list[Checkpoint] | None) -> list[Checkpoint] | None:
        """Each checkpoint once, in training order."""
        seen: dict[str, int] = {}
        last: int | None = None
        for index, one in enumerate(value or ()):
            if one.model in seen:
                raise ValueError(f"`{one.model}` is checkpoint {seen[one.model]} already; name each once")
            seen[one.model] = index
            if one.step is not None and last is not None and one.step <= last:
                raise ValueError(
                    f"checkpoint {index} (`{one.model}`) has step {one.step}, not after {last}; list "
                    "checkpoints in training order"
                )
            last = one.step if one.step is not None else last
        return value

    def completed(self) -> Self:
        """The request with grids and format-repair arms written out, and the arm that always counts added.

        Temperature 1 without truncation always counts as an elicitation arm. Where creation may be claimed
        and the policy is another, the arm `untruncated` is added unless an arm covers it, or the reference is
        a log, which no arm can draw from.
        """
        instruction = repair_instruction(self.signal)
        given = [one for arm in self.arms for one in arm.expanded(self.policy)]
        arms = [repaired(arm, instruction) for arm in given]
        draws = isinstance(self.reference, ModelParticipant)
        compares = self.candidate is not None or self.candidates is not None
        claims = self.kind != "free_energy" and compares
        if claims and draws and not covers_untruncated(self.policy, arms):
            arms.append(untruncated_arm(self.policy))
        return self.model_copy(update={"arms": arms})


class AnalysisPatch(Document):
    """What may change of an analysis; a field that is absent stays, `labels` are replaced as a whole."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    labels: Annotated[dict[LabelKey, LabelText], Field(max_length=16)] = Field(default={})
