"""What each side of each prompt reaches: classes, bounds and price from what was observed."""

import math
from dataclasses import dataclass

from workers.estimators.counts import epsilon
from workers.estimators.evidence import ReferenceEvidence, classify, reference_evidence
from workers.estimators.importance import ScoredRound
from workers.estimators.reference_counts import ReferenceCounts
from workers.estimators.regimes import Reach
from workers.estimators.settle import samples_to_settle, samples_to_settle_in
from workers.pipelines.observations import PromptObservations, ScoredPair, SideObservations
from workers.pipelines.spec import AnalysisSpec

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

    evidence: ReferenceEvidence
    use: Reach
    probe: Reach


def log_target_in(spec: AnalysisSpec, *, scored: bool) -> float:
    """What the counts' log e-value needs for `in`, in nats, if scoring adds nothing to it.

    With scoring the evidence is half the counts' e-value and half the scores': see `log_e_in_combined`.
    """
    return -math.log(spec.thresholds.alpha) + (math.log(2) if scored else 0.0)


def planned_samples(spec: AnalysisSpec, k_probe: int) -> int:
    """The n in the prior Beta(1/2, n) of the `out` e-value: fixed by the request, before the first sample."""
    return max(spec.budget.samples_per_prompt, math.ceil(PRIOR_SAMPLES_PER_K * k_probe))


def scored_rounds(pair: ScoredPair | None) -> list[ScoredRound] | None:
    """The pilot as the one scored round; its sizes were fixed before it. None where nothing was scored."""
    if pair is None:
        return None
    return [
        ScoredRound(
            log_p=pair.log_p,
            log_q=pair.log_q,
            is_correct=pair.correct,
            from_candidate=pair.is_candidate,
            n_p=pair.n_p,
            n_q=pair.n_q,
        )
    ]


def assess_reference(
    spec: AnalysisSpec, prompt: PromptObservations, k_probe: int | None = None
) -> SideAssessment:
    """The reference: `out` and upper ends from its own samples, `in` and lower ends from scores too."""
    return _assess(spec, prompt.reference, scored_rounds(prompt.pair), k_probe or spec.budget.k_probe)


def assess_candidate(
    spec: AnalysisSpec, prompt: PromptObservations, k_probe: int | None = None
) -> SideAssessment:
    """The candidate, from its own samples alone.

    Raises:
        ValueError: the analysis has no candidate.
    """
    if prompt.candidate is None:
        raise ValueError("the analysis has no candidate")
    return _assess(spec, prompt.candidate, None, k_probe or spec.budget.k_probe)


def bounds(
    spec: AnalysisSpec, side: SideObservations, pair: ScoredPair | None, alpha: float
) -> ReferenceEvidence:
    """Evidence of one side with bounds at another level than the request's, for printed intervals."""
    return _evidence(spec, side, scored_rounds(pair), spec.budget.k_probe, alpha)


def _evidence(
    spec: AnalysisSpec,
    side: SideObservations,
    scoring: list[ScoredRound] | None,
    k_probe: int,
    alpha: float,
) -> ReferenceEvidence:
    reach = spec.thresholds.reach
    return reference_evidence(
        ReferenceCounts.of(side.correct, side.pilot_n),
        scoring,
        epsilon_use=epsilon(spec.budget.k_use, reach),
        epsilon_probe=epsilon(k_probe, reach),
        planned_n=planned_samples(spec, k_probe),
        alpha=alpha,
        adaptive=spec.budget.adaptive,
    )


def _assess(
    spec: AnalysisSpec, side: SideObservations, scoring: list[ScoredRound] | None, k_probe: int
) -> SideAssessment:
    evidence = _evidence(spec, side, scoring, k_probe, spec.thresholds.alpha)
    use = _reach(spec, side, evidence, spec.budget.k_use, k_probe, scoring is not None)
    probe = _reach(spec, side, evidence, k_probe, k_probe, scoring is not None)
    return SideAssessment(evidence, use, probe)


def _reach(
    spec: AnalysisSpec,
    side: SideObservations,
    evidence: ReferenceEvidence,
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
        more = _more_samples(side, at.threshold, log_target_in(spec, scored=scored), target, planned)
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
    )


def _more_samples(
    side: SideObservations, threshold: float, target_in: float, target_out: float, planned: int
) -> int | None:
    """A forecast: how many more samples settle the class if they go on as they went."""
    if side.n and side.successes / side.n > threshold:
        return samples_to_settle_in(side.successes, side.n, threshold, target_in)
    return samples_to_settle(side.successes, side.n, threshold, target_out, planned)
