"""The regime of one prompt: which of eight exclusive statements its evidence supports.

The rules are those of the design page "What Tiltscope measures", section 3. The reference is judged at
K_probe, the candidate at K_use, unless a rule says otherwise; the first rule that holds wins. Classes
(`in`, `out`, `undetermined`) come from one-sided tests at level alpha and are inputs here.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from workers.estimators.counts import epsilon, log_e_in, log_e_out
from workers.estimators.selection import e_bh
from workers.estimators.verifier_noise import NoiseBounds, accepted_thresholds

ReachClass = Literal["in", "out", "undetermined"]
Bound = Literal["counts", "counts and scoring", "fixed plan"]
RegimeName = Literal["lost", "basin", "tail", "singular", "barrier", "unreached", "beyond", "undetermined"]

REGIMES: Final[tuple[RegimeName, ...]] = (
    "lost", "basin", "tail", "singular", "barrier", "unreached", "beyond", "undetermined",
)  # fmt: skip
CREATED: Final[frozenset[RegimeName]] = frozenset({"singular", "barrier", "unreached"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """The class of one side, or of one arm, at one budget, with the evidence that decided it.

    Attributes:
        label: `in`: evidence against a <= epsilon(K); `out`: evidence against a >= epsilon(K).
        budget: K, in samples.
        successes: Successes among `samples`.
        samples: Samples judged so far, verifier errors excluded.
        log_e_in: Log e-value against a <= epsilon(K), in nats; may be infinite.
        log_e_out: Log e-value against a >= epsilon(K), in nats, from this side's own samples alone.
        bound: Which evidence the class rests on.
        arm: Name of the elicitation or assisted arm; empty for the analysis's own policy.
        unusable: Truncated and unparsed samples among the failures.
        planned_samples: The budget the prior of the `out` e-value was tuned to.
        samples_to_settle: Further samples that would settle an undetermined class, if known.
        tests: Arms among which one that is `in` decides: each is tested at alpha / tests.
        noise: Bounds of the verifier's error rates; successes are then what it accepted. None without an
            audit.
        repairs_format: Whether the arm says in which form answers are read, and nothing else.

    Raises:
        ValueError: Counts contradict each other, K < 1, or an e-value is NaN.
    """

    label: ReachClass
    budget: int
    successes: int
    samples: int
    log_e_in: float
    log_e_out: float
    planned_samples: int
    bound: Bound = "counts"
    arm: str = ""
    unusable: int = 0
    samples_to_settle: int | None = None
    tests: int = 1
    noise: NoiseBounds | None = None
    repairs_format: bool = False

    def __post_init__(self) -> None:
        """Reject counts that no sample could give."""
        if self.budget < 1 or self.planned_samples < 1:
            raise ValueError("a budget is at least one sample")
        if not 0 <= self.successes <= self.samples:
            raise ValueError(f"{self.successes} successes of {self.samples} samples")
        if not 0 <= self.unusable <= self.samples - self.successes:
            raise ValueError("unusable samples are failures, and no more than those")
        if math.isnan(self.log_e_in) or math.isnan(self.log_e_out):
            raise ValueError("an e-value must not be NaN")

    def forecast(self, more: int | None) -> "Reach":
        """The class with a forecast of what would settle it."""
        return replace(self, samples_to_settle=more)

    def with_unusable_as_successes(self, *, alpha: float, reach: float) -> "Reach":
        """The class if every truncated or unparsed sample were a success, from counts.

        Evidence of reach only grows, so `in` stays `in`, scoring evidence included.
        """
        if self.unusable == 0:
            return self
        for_in, for_out = accepted_thresholds(self.noise, epsilon(self.budget, reach))
        successes = self.successes + self.unusable
        evidence_in = max(self.log_e_in, log_e_in(successes, self.samples, for_in))
        evidence_out = log_e_out(successes, self.samples, for_out, self.planned_samples)
        label: ReachClass = "out" if evidence_out >= -math.log(alpha) else "undetermined"
        if self.label == "in" or evidence_in >= math.log(self.tests / alpha):
            label = "in"
        return replace(
            self, label=label, successes=successes, unusable=0, log_e_in=evidence_in, log_e_out=evidence_out
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportZeros:
    """How many scored successes of the candidate the reference gives probability zero.

    Attributes:
        successes: Successes of the candidate that were scored under the reference.
        causes: Successes with a true zero, by cause (`vocabulary`, `top_k`, `top_p`, `min_p`).
        edge: Successes whose only zeros lie within float tolerance of the nucleus edge. They prove nothing.
    """

    successes: int
    causes: Mapping[str, int] = field(default_factory=dict)
    edge: int = 0

    @property
    def singular(self) -> bool:
        """Whether every scored success has p(y) = 0 for a reason other than rounding at the edge."""
        return self.successes > 0 and sum(self.causes.values()) == self.successes


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptEvidence:
    """Everything the regime of one prompt depends on.

    Attributes:
        reference_use: The reference at K_use, under the analysis's policy.
        reference_probe: The reference at K_probe, under the analysis's policy.
        candidate_use: The candidate at K_use.
        candidate_probe: The candidate at K_probe.
        elicitation_arms: The reference at K_probe under each elicitation arm; one that was not drawn is
            undetermined, with an e-value of 1.
        assisted_arms: The reference at K_probe under each assisted arm that was drawn.
        untruncated_covered: Whether T = 1 without truncation was among the policies probed (it always
            counts as an elicitation arm), as the policy itself or as an arm.
        selected: Whether e-BH over all prompts kept this prompt's `out` claim.
        zeros: Structural zeros among the candidate's successes; None if they were not scored.
        second_verifier: Whether a second verifier accepted every rare success; None if none was given.
        candidate_low: Lower bound of b at the decision level.
        chance_floor: Upper bound of the rate at which samples of other prompts satisfy this prompt's key;
            None if unmeasured.
    """

    reference_use: Reach
    reference_probe: Reach
    candidate_use: Reach
    candidate_probe: Reach
    selected: bool
    candidate_low: float
    elicitation_arms: tuple[Reach, ...] = ()
    assisted_arms: tuple[Reach, ...] = ()
    untruncated_covered: bool = True
    zeros: SupportZeros | None = None
    second_verifier: bool | None = None
    chance_floor: float | None = None


@dataclass(frozen=True, slots=True)
class Confirmation:
    """One condition that a created prompt must meet before it is called confirmed."""

    check: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Regime:
    """The regime of a prompt.

    Attributes:
        name: Exactly one of the eight.
        confirmed: For created prompts, whether every confirmation passed; False for the others.
        confirmation: What was checked; empty for prompts that are not created.
        evidence: Which bound decided, from which samples.
    """

    name: RegimeName
    confirmed: bool
    confirmation: tuple[Confirmation, ...]
    evidence: tuple[str, ...]


def reference_class(evidence: PromptEvidence) -> ReachClass:
    """The reference's class at K_probe over its policy and every elicitation arm.

    `in` needs one policy that reaches; `out` must hold under every arm (an intersection-union test, so no
    correction). epsilon falls with K, so `in` at K_use implies `in` at K_probe; the opposite findings on
    one prompt contradict each other and leave it undetermined.
    """
    return class_over_policies(evidence.reference_use, evidence.reference_probe, evidence.elicitation_arms)


def class_over_policies(use: Reach, probe: Reach, arms: Sequence[Reach]) -> ReachClass:
    """What `reference_class` says, from the reference's own classes and its elicitation arms at K_probe."""
    if use.label == "in" and probe.label == "out":
        return "undetermined"
    labels = [probe.label, *(arm.label for arm in arms)]
    if use.label == "in" or "in" in labels:
        return "in"
    return "out" if all(label == "out" for label in labels) else "undetermined"


def candidate_class(evidence: PromptEvidence) -> ReachClass:
    """The candidate's class at K_use, with what K_probe implies: `out` there is `out` here."""
    use, probe = evidence.candidate_use.label, evidence.candidate_probe.label
    if use == "in" and probe == "out":
        return "undetermined"
    return "out" if probe == "out" else use


def select_out(prompts: Sequence[PromptEvidence], alpha: float) -> NDArray[np.bool_]:
    """Which `out` claims e-BH keeps at level alpha; every prompt is tested. Shape ``(M,)``.

    The e-value of a prompt is the least over its policies, since `out` must hold under every one.
    """
    least = [min(arm.log_e_out for arm in (p.reference_probe, *p.elicitation_arms)) for p in prompts]
    return e_bh(np.array(least, np.float64), alpha)


def reference_confirmations(evidence: PromptEvidence) -> tuple[Confirmation, ...]:
    """The confirmations that do not depend on the candidate's success rate."""
    arms_out = reference_class(evidence) == "out"
    if arms_out and evidence.untruncated_covered:
        policies = 1 + len(evidence.elicitation_arms)
        arms_detail = "the reference is out"
        if policies > 1:
            arms_detail += f" under {policies} policies"
    elif arms_out:
        arms_detail = "the untruncated policy at temperature 1 was not probed"
    else:
        arms_detail = "not every policy of the reference is out"
    checks = [
        Confirmation("every_arm_out", arms_out and evidence.untruncated_covered, arms_detail),
        Confirmation(
            "e_bh",
            evidence.selected,
            "kept by e-BH over the prompts" if evidence.selected else "not kept by e-BH over the prompts",
        ),
    ]
    if evidence.second_verifier is not None:
        found = "every rare success" if evidence.second_verifier else "not every rare success"
        detail = f"{found} accepted by the second verifier"
        checks.append(Confirmation("second_verifier", evidence.second_verifier, detail))
    return tuple(checks)


def above_chance(candidate_low: float, chance_floor: float | None) -> Confirmation:
    """Whether the lower bound of b exceeds the chance floor; an unmeasured floor confirms nothing."""
    if chance_floor is None:
        return Confirmation("above_chance_floor", False, "the chance floor was not measured")
    passed = candidate_low > chance_floor
    sign = ">" if passed else "<="
    detail = f"lower bound of b {candidate_low:.3g} {sign} upper bound of chance {chance_floor:.3g}"
    return Confirmation("above_chance_floor", passed, detail)


def classify_regime(evidence: PromptEvidence) -> Regime:
    """The first rule of the table that holds.

    Args:
        evidence: Classes, arms, zeros and confirmations of one prompt.

    Returns:
        The regime; `undetermined` is never rounded to a neighbour.
    """
    name = _first_rule(evidence)
    if name not in CREATED:
        return Regime(name, False, (), tuple(_evidence_lines(evidence, name)))
    checks = (*reference_confirmations(evidence), above_chance(evidence.candidate_low, evidence.chance_floor))
    confirmed = all(check.passed for check in checks)
    return Regime(name, confirmed, checks, tuple(_evidence_lines(evidence, name)))


def _first_rule(evidence: PromptEvidence) -> RegimeName:
    reference, candidate = reference_class(evidence), candidate_class(evidence)
    # An arm's reach is no measure of what the candidate lost under the analysis's own policy.
    own_in = reference == "in" and "in" in (evidence.reference_use.label, evidence.reference_probe.label)
    if own_in and evidence.candidate_probe.label == "out" and candidate == "out":
        return "lost"
    if reference == "in":
        return "basin" if evidence.reference_use.label == "in" else "tail"
    if reference == "out" and candidate == "in":
        if evidence.zeros is not None and evidence.zeros.singular:
            return "singular"
        return "barrier" if any(arm.label == "in" for arm in evidence.assisted_arms) else "unreached"
    return "beyond" if candidate == "out" and _not_shown_to_reach(evidence) else "undetermined"


def _not_shown_to_reach(evidence: PromptEvidence) -> bool:
    """Whether the reference is out under its policy and every arm drawn; no claim, so none need be drawn."""
    drawn = (arm.label for arm in evidence.elicitation_arms if arm.samples)
    use, probe = evidence.reference_use.label, evidence.reference_probe.label
    return probe == "out" and use != "in" and all(label == "out" for label in drawn)


def _evidence_lines(evidence: PromptEvidence, name: RegimeName) -> list[str]:
    drawn = [arm for arm in evidence.elicitation_arms if arm.samples]
    lines = [
        _describe("reference", evidence.reference_use),
        _describe("reference", evidence.reference_probe),
        *(_describe(f"reference with elicitation arm {arm.arm}", arm) for arm in drawn),
        *(_describe(f"reference with assisted arm {arm.arm}", arm) for arm in evidence.assisted_arms),
        _describe("candidate", evidence.candidate_use),
        _describe("candidate", evidence.candidate_probe),
    ]
    own = (evidence.reference_use.label, evidence.reference_probe.label)
    if name == "tail" and "in" not in own:
        arms = ", ".join(arm.arm for arm in evidence.elicitation_arms if arm.label == "in")
        lines.append(f"in only through elicitation arm {arms}")
    if evidence.zeros is not None and (evidence.zeros.causes or evidence.zeros.edge):
        lines.append(_describe_zeros(evidence.zeros))
    if name in CREATED:
        lines.append("not reached by this reference under this policy, signal and budget")
    return lines


def _describe(side: str, reach: Reach) -> str:
    """For example: reference at K = 256: out, counts, 0 of 1600 samples, log e-value 3.3 nats."""
    log_e = {"in": reach.log_e_in, "out": reach.log_e_out}.get(reach.label)
    counts = f"{reach.successes} of {reach.samples} samples"
    text = f"{side} at K = {reach.budget}: {reach.label}, {reach.bound}, {counts}"
    if reach.bound == "fixed plan" and reach.label != "undetermined":
        return text
    if log_e is not None:
        return f"{text}, log e-value {log_e:.1f} nats"
    text += f", log e-value in {reach.log_e_in:.1f} and out {reach.log_e_out:.1f} nats"
    if reach.samples_to_settle is not None:
        text += f", about {reach.samples_to_settle} more would settle it"
    return text


def _describe_zeros(zeros: SupportZeros) -> str:
    causes = ", ".join(f"{cause} {count}" for cause, count in sorted(zeros.causes.items()))
    text = f"p(y) = 0 for {sum(zeros.causes.values())} of {zeros.successes} successes of the candidate"
    text += f" ({causes})" if causes else ""
    if zeros.edge:
        text += f"; {zeros.edge} more only within float tolerance of the nucleus edge"
    return text
