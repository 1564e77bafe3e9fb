"""What each side of each prompt reaches: classes, bounds and price from what was observed."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from workers.estimators.counts import epsilon, log_e_out
from workers.estimators.evidence import (
    CandidateEvidence,
    Class,
    Levels,
    ReferenceEvidence,
    SideEvidence,
    SuccessEvidence,
    at_other_probe,
    candidate_evidence,
    classify,
    log_e_in_combined,
    reference_evidence,
)
from workers.estimators.reference_counts import CandidateCounts, ReferenceCounts, SideCounts
from workers.estimators.regimes import Reach
from workers.estimators.scored_round import ScoredRound
from workers.estimators.scored_sources import Source
from workers.estimators.settle import samples_to_settle, samples_to_settle_in
from workers.estimators.verifier_noise import (
    AUDIT_SHARE,
    accepted_thresholds,
    at_threshold,
    in_threshold,
    out_threshold,
    true_evidence,
)
from workers.pipelines.class_targets import log_target_in
from workers.pipelines.observations import PromptObservations, SideObservations
from workers.pipelines.spec import AnalysisSpec

CountsT = TypeVar("CountsT", ReferenceCounts, CandidateCounts)

PRIOR_SAMPLES_PER_K = 8
"""Second shape of the prior of the `out` e-value per unit of K_probe. With no success it decides after 4.65 K
samples; at 4.5 it would take 4.8 K, at 12 still 4.55 K, and one or two chance successes cost more."""


@dataclass(frozen=True, slots=True)
class SideAssessment:
    """One side of one prompt at both budgets.

    Attributes:
        evidence: E-values, bounds and price.
        use: Class at K_use.
        probe: Class at K_probe.
    """

    evidence: SideEvidence
    use: Reach
    probe: Reach


@dataclass(frozen=True, slots=True)
class ReferenceAssessment(SideAssessment):
    """The reference, whose evidence alone may rest on scores."""

    evidence: ReferenceEvidence


def planned_samples(spec: AnalysisSpec, k_probe: int) -> int:
    """The n in the prior Beta(1/2, n) of the `out` e-value: fixed by the request, before the first sample."""
    return max(spec.budget.samples_per_prompt, math.ceil(PRIOR_SAMPLES_PER_K * k_probe))


def scored_rounds(prompt: PromptObservations) -> list[ScoredRound] | None:
    """Every finished round of scored draws; None where nothing was scored.

    The pilot of the two sides is one round, whose sizes were fixed before it. Rounds of other proposals and
    later rounds follow it.
    """
    further = list(prompt.further_rounds)
    return further or None if prompt.pilot_round is None else [prompt.pilot_round, *further]


def assess_reference(
    spec: AnalysisSpec,
    prompt: PromptObservations,
    k_probe: int | None = None,
    known: ReferenceEvidence | None = None,
) -> ReferenceAssessment:
    """The reference: `out` and upper ends from its own samples, `in` and lower ends from scores too.

    Args:
        spec: The analysis.
        prompt: What was observed.
        k_probe: Another budget than the request's.
        known: The evidence at the request's, of which the part is taken that no budget changes.
    """
    budget, alpha = k_probe or spec.budget.k_probe, spec.thresholds.alpha
    if known is None or spec.noise is not None:
        evidence = reference_bounds(spec, prompt, alpha, budget)
    else:
        levels = _levels(spec, alpha, budget)
        evidence = at_other_probe(known, scored_rounds(prompt), levels, prompt.beside)
    scored = evidence.scoring is not None or bool(prompt.beside)
    found = _assess(spec, prompt.reference, evidence, budget, scored=scored)
    return ReferenceAssessment(evidence, found.use, found.probe)


def assess_candidate(
    spec: AnalysisSpec, prompt: PromptObservations, k_probe: int | None = None
) -> SideAssessment:
    """The candidate, from its own samples alone.

    Raises:
        ValueError: the analysis has no candidate.
    """
    if prompt.candidate is None:
        raise ValueError("the analysis has no candidate")
    budget = k_probe or spec.budget.k_probe
    evidence = candidate_bounds(spec, prompt.candidate, spec.thresholds.alpha, budget)
    return _assess(spec, prompt.candidate, evidence, budget, scored=False)


def reference_label_at(spec: AnalysisSpec, prompt: PromptObservations, budget: int) -> Class:
    """The reference's class at any budget K, at level alpha for this budget alone."""
    counts = ReferenceCounts.of(prompt.reference.correct, prompt.reference.pilot_n)
    return _label_at(spec, counts, scored_rounds(prompt), budget, prompt.beside)


def candidate_label_at(spec: AnalysisSpec, candidate: SideObservations, budget: int) -> Class:
    """The candidate's class at any budget K, likewise."""
    return _label_at(spec, CandidateCounts.of(candidate.correct, candidate.pilot_n), None, budget)


def _label_at(
    spec: AnalysisSpec,
    own: SideCounts,
    scoring: list[ScoredRound] | None,
    budget: int,
    beside: Sequence[Source] = (),
) -> Class:
    threshold, target = epsilon(budget, spec.thresholds.reach), -math.log(spec.thresholds.alpha)
    for_in, for_out = accepted_thresholds(spec.class_noise, threshold)
    evidence_out = log_e_out(own.successes, own.n, for_out, planned_samples(spec, budget))
    return classify(log_e_in_combined(own, scoring, for_in, beside), evidence_out, target, target)


def reference_bounds(
    spec: AnalysisSpec, prompt: PromptObservations, alpha: float, k_probe: int | None = None
) -> ReferenceEvidence:
    """Evidence of the reference at any level; the request's is for classes, others for printed intervals."""
    return own_bounds(spec, prompt.reference, scored_rounds(prompt), alpha, k_probe, prompt.beside)


def own_bounds(
    spec: AnalysisSpec,
    side: SideObservations,
    rounds: list[ScoredRound] | None,
    alpha: float,
    k_probe: int | None = None,
    beside: Sequence[Source] = (),
) -> ReferenceEvidence:
    """Evidence of the reference under its policy, or under an arm, from that policy's own samples."""
    counts = ReferenceCounts.of(side.correct, side.pilot_n)

    def about_accepted(levels: Levels) -> ReferenceEvidence:
        return reference_evidence(counts, rounds, levels, beside)

    return _about_truth(spec, about_accepted, _levels(spec, alpha, k_probe))


def candidate_bounds(
    spec: AnalysisSpec, candidate: SideObservations, alpha: float, k_probe: int | None = None
) -> CandidateEvidence:
    """Evidence of the candidate at any level."""
    counts = CandidateCounts.of(candidate.correct, candidate.pilot_n)

    def about_accepted(levels: Levels) -> CandidateEvidence:
        return candidate_evidence(counts, levels)

    return _about_truth(spec, about_accepted, _levels(spec, alpha, k_probe))


def _about_truth(
    spec: AnalysisSpec, about_accepted: Callable[[Levels], SuccessEvidence[CountsT]], levels: Levels
) -> SuccessEvidence[CountsT]:
    """Evidence about the true rate; without an audit what is accepted is what is right."""
    if spec.noise is None:
        return about_accepted(levels)
    audit, classes = spec.noise.audit, spec.noise.for_classes
    at = {}
    for name, threshold in (("for_in", in_threshold), ("for_out", out_threshold)):
        use, probe = threshold(classes, levels.epsilon_use), threshold(classes, levels.epsilon_probe)
        at[name] = about_accepted(
            replace(levels, epsilon_use=use, epsilon_probe=probe, alpha=(1 - AUDIT_SHARE) * levels.alpha)
        )
    accepted = replace(
        at["for_out"],
        at_use=at_threshold(classes, levels.epsilon_use, at["for_in"].at_use, at["for_out"].at_use),
        at_probe=at_threshold(classes, levels.epsilon_probe, at["for_in"].at_probe, at["for_out"].at_probe),
    )
    return true_evidence(audit, audit.bounds(levels.alpha), accepted, 1 - levels.alpha)


def _levels(spec: AnalysisSpec, alpha: float, k_probe: int | None) -> Levels:
    reach, budget = spec.thresholds.reach, k_probe or spec.budget.k_probe
    return Levels(
        epsilon_use=epsilon(spec.budget.k_use, reach),
        epsilon_probe=epsilon(budget, reach),
        planned_n=planned_samples(spec, budget),
        alpha=alpha,
        adaptive=spec.budget.adaptive,
    )


def _assess(
    spec: AnalysisSpec,
    side: SideObservations,
    evidence: SideEvidence,
    k_probe: int,
    *,
    scored: bool,
) -> SideAssessment:
    use = _reach(spec, side, evidence, spec.budget.k_use, k_probe, scored)
    probe = _reach(spec, side, evidence, k_probe, k_probe, scored)
    return SideAssessment(evidence, use, probe)


def _reach(
    spec: AnalysisSpec,
    side: SideObservations,
    evidence: SideEvidence,
    budget: int,
    k_probe: int,
    scored: bool,
) -> Reach:
    at = evidence.at_probe if budget == k_probe else evidence.at_use
    target = -math.log(spec.thresholds.alpha)
    label = classify(at.log_e_in, at.log_e_out, target, target)
    planned = planned_samples(spec, k_probe)
    more = None
    if label == "undetermined":
        more = _more_samples(spec, side, at.threshold, log_target_in(spec, scored=scored), target, planned)
    return Reach(
        label=label,
        budget=budget,
        successes=side.successes,
        samples=side.n,
        log_e_in=at.log_e_in,
        log_e_out=at.log_e_out,
        planned_samples=planned,
        bound="counts and scoring" if scored and label == "in" else "counts",
        unusable=side.outcomes["unparsed"] + side.outcomes["truncated"],
        samples_to_settle=more,
        noise=spec.class_noise,
    )


def _more_samples(
    spec: AnalysisSpec,
    side: SideObservations,
    threshold: float,
    target_in: float,
    target_out: float,
    planned: int,
) -> int | None:
    """A forecast: how many more samples settle the class if they go on as they went.

    None where none would: between the two rates that the verifier's noise could explain.
    """
    for_in, for_out = accepted_thresholds(spec.class_noise, threshold)
    rate = side.successes / side.n if side.n else 0.0
    if side.n and rate > for_in:
        return samples_to_settle_in(side.successes, side.n, for_in, target_in)
    if rate > for_out:
        return None
    return samples_to_settle(side.successes, side.n, for_out, target_out, planned)
