"""What the reference reaches under each arm, and which arm is drawn next."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from workers.estimators.counts import epsilon, log_e_out
from workers.estimators.evidence import classify
from workers.estimators.regimes import Reach, ReachClass, class_over_policies
from workers.estimators.settle import samples_to_settle, samples_to_settle_in
from workers.estimators.verifier_noise import accepted_thresholds
from workers.pipelines.assessment import SideAssessment, own_bounds, planned_samples
from workers.pipelines.observations import OUTCOME_NAMES, PromptObservations, SideObservations
from workers.pipelines.spec import AnalysisSpec
from workers.pipelines.streams import Stream

NOTHING_DRAWN = SideObservations(
    correct=np.zeros(0, dtype=np.bool_),
    pilot_n=0,
    pilot_unusable=np.zeros(0, dtype=np.bool_),
    outcomes=dict.fromkeys(OUTCOME_NAMES, 0),
    rewards=np.zeros(0),
    behaviours=(),
)


@dataclass(frozen=True, slots=True)
class PolicyReach:
    """What a prompt's reference reaches at K_probe over its own policy and every elicitation arm.

    Attributes:
        label: `out` only where every policy is.
        leans_out: The likelier class of an undetermined prompt.
        by_arms: Whether the arms make it another class than the analysis's own policy does.
    """

    label: ReachClass
    leans_out: bool
    by_arms: bool


def elicitation_reaches(
    spec: AnalysisSpec, prompt: PromptObservations, k_probe: int | None = None
) -> tuple[Reach, ...]:
    """The reference at K_probe under every elicitation arm, cheapest first.

    An arm that was not drawn is undetermined with an e-value of 1: a claim that it was not tested for
    cannot be selected.
    """
    return tuple(assess_arm(spec, arm, samples_of(prompt, arm), k_probe) for arm in spec.elicitation)


def policy_reach(spec: AnalysisSpec, prompt: PromptObservations, reference: SideAssessment) -> PolicyReach:
    """O is what is out of reach under every policy; an arm that was not drawn leaves that open."""
    arms = elicitation_reaches(spec, prompt)
    label = class_over_policies(reference.use, reference.probe, arms)
    threshold = epsilon(spec.budget.k_probe, spec.thresholds.reach)
    price = reference.evidence.price.value
    own_out = price is None or price > -math.log(threshold)
    arms_out = all(arm.successes <= threshold * arm.samples for arm in arms)
    own = class_over_policies(reference.use, reference.probe, ())
    return PolicyReach(label, leans_out=own_out and arms_out, by_arms=label != own)


def assisted_reaches(
    spec: AnalysisSpec, prompt: PromptObservations, k_probe: int | None = None
) -> tuple[Reach, ...]:
    """The reference at K_probe under every assisted arm that was drawn, cheapest first."""
    reaches = (assess_arm(spec, arm, samples_of(prompt, arm), k_probe) for arm in spec.assisted)
    return tuple(reach for reach in reaches if reach.samples)


def samples_of(prompt: PromptObservations, arm: Stream) -> SideObservations:
    """A prompt's samples under an arm."""
    return prompt.arms.get(arm.name, NOTHING_DRAWN)


def assess_arm(spec: AnalysisSpec, arm: Stream, side: SideObservations, k_probe: int | None = None) -> Reach:
    """The reference's class at K_probe under one arm, from that arm's own samples.

    `out` is decided at alpha for each arm: a prompt is out only where all are, an intersection-union test.
    `in` by any of A arms of a role is decided at alpha / A (union bound), so that one of A lucky arms does
    not make a prompt reached.
    """
    budget = k_probe or spec.budget.k_probe
    at = own_bounds(spec, side, None, spec.thresholds.alpha, budget).at_probe
    tests = len(spec.elicitation if arm.role == "elicitation" else spec.assisted)
    target = -math.log(spec.thresholds.alpha)
    label = classify(at.log_e_in, at.log_e_out, target + math.log(tests), target)
    found = Reach(
        label=label,
        budget=budget,
        successes=side.successes,
        samples=side.n,
        log_e_in=at.log_e_in,
        log_e_out=at.log_e_out,
        planned_samples=planned_samples(spec, budget),
        arm=arm.arm,
        tests=tests,
        noise=spec.class_noise,
        repairs_format=arm.repairs_format,
        unusable=side.outcomes["unparsed"] + side.outcomes["truncated"],
    )
    return found if label != "undetermined" else found.forecast(settle(spec, found, target))


def settle(spec: AnalysisSpec, reach: Reach, target_out: float) -> int | None:
    """Samples until a class is settled if they go on as they went; `out` at a level of its own."""
    for_in, for_out = accepted_thresholds(spec.class_noise, epsilon(reach.budget, spec.thresholds.reach))
    rate = reach.successes / reach.samples if reach.samples else 0.0
    if reach.samples and rate > for_in:
        target_in = math.log(reach.tests / spec.thresholds.alpha)
        return samples_to_settle_in(reach.successes, reach.samples, for_in, target_in)
    if rate > for_out:
        return None  # between the two rates that the verifier's noise could explain
    return samples_to_settle(reach.successes, reach.samples, for_out, target_out, reach.planned_samples)


def best_log_e_out(
    spec: AnalysisSpec, prompt: PromptObservations, drawn: Mapping[str, int], *, is_open: bool
) -> float:
    """What that e-value would be if no sample still allowed succeeded, nats."""
    budget = spec.budget
    _, for_out = accepted_thresholds(spec.class_noise, epsilon(budget.k_probe, spec.thresholds.reach))
    planned = planned_samples(spec, budget.k_probe)
    policies = [(prompt.reference, drawn["reference"])]
    policies += [(samples_of(prompt, arm), drawn.get(arm.name, 0)) for arm in spec.elicitation]
    return min(
        log_e_out(
            side.successes,
            side.n + (budget.max_samples_per_prompt - count if is_open else 0),
            for_out,
            planned,
        )
        for side, count in policies
    )


def next_policy(
    spec: AnalysisSpec, arms: Sequence[Reach], target: float, drawn: Mapping[str, int], own: int
) -> tuple[str, int] | None:
    """Which policy of the reference a creation claim draws next, and how many samples it lacks.

    One policy a round: the one with the fewest samples so far, the analysis's own before the arms and
    cheap arms before dear ones. So an arm that reaches easily is found before any policy is sampled in
    depth, and ends the claim. A policy that has no samples left ends it too.

    Args:
        spec: The analysis.
        arms: The elicitation arms of the prompt.
        target: What each policy's log e-value must reach, nats.
        drawn: Samples planned so far, by stream.
        own: Samples that the analysis's own policy lacks; 0 if it needs none.

    Returns:
        A stream and a number of samples; None if nothing is left to draw.
    """
    lacking = [("reference", own)] if own else []
    for arm, reach in zip(spec.elicitation, arms, strict=True):
        if reach.log_e_out < target:
            lacking.append((arm.name, settle(spec, reach, target) or reach.samples))
    if any(drawn.get(name, 0) >= spec.budget.max_samples_per_prompt for name, _ in lacking):
        return None
    return min(lacking, key=lambda policy: drawn.get(policy[0], 0), default=None)


def next_assisted(
    spec: AnalysisSpec, prompt: PromptObservations, drawn: Mapping[str, int]
) -> tuple[str, int] | None:
    """Which assisted arm is drawn next: none once one reaches, else the least drawn that is open."""
    reaches = {arm.name: assess_arm(spec, arm, samples_of(prompt, arm)) for arm in spec.assisted}
    if any(reach.label == "in" for reach in reaches.values()):
        return None
    most = spec.budget.max_samples_per_prompt
    lacking = [
        (name, reach.samples_to_settle or reach.samples)
        for name, reach in reaches.items()
        if reach.label == "undetermined" and drawn.get(name, 0) < most
    ]
    return min(lacking, key=lambda policy: drawn.get(policy[0], 0), default=None)
