"""Candidate samples whose scores are expected to show that the reference reaches a prompt."""

import math
from collections.abc import Sequence

from workers.estimators.betting import draws_to_settle
from workers.estimators.importance import refuses
from workers.estimators.verifier_noise import accepted_thresholds
from workers.pipelines.assessment import (
    SideAssessment,
    assess_reference,
    scored_log_target_in,
    scored_rounds,
)
from workers.pipelines.observations import PromptObservations
from workers.pipelines.spec import AnalysisSpec

SCORED_COST = 2
"""Tokens that pass through a model for each token of a scored sample: it is drawn once and read once."""


def prompts_to_score(spec: AnalysisSpec, observations: Sequence[PromptObservations]) -> frozenset[int]:
    """Prompts whose further candidate samples are scored: where scores may still show that they are reached.

    Where reach is shown scores have nothing left to show, and a loss is certified by counts. Of fewer than
    K_probe scored samples beyond the pilot no forecast is believed: a weak candidate without luck looks like
    one that sees nothing. Whether a round is scored is decided before it is drawn, as its size is.
    """
    return frozenset(p.index for p in observations if p.pair is not None and _may_show_reach(spec, p))


def _may_show_reach(spec: AnalysisSpec, prompt: PromptObservations) -> bool:
    reference = assess_reference(spec, prompt)
    if reference.probe.label == "in":
        return False
    later = sum(part.draws for part in prompt.further_rounds)
    return later < spec.budget.k_probe or _draws_needed(spec, prompt, reference) is not None


def scored_samples(
    spec: AnalysisSpec, prompt: PromptObservations, reference: SideAssessment, lacking: int, drawn: int
) -> int:
    """Candidate samples to draw and score instead of the reference samples that a claim of creation lacks.

    0 where scores cannot show reach, or at a higher price: scoring refuses, no success of the candidate has
    a chance under the reference, or the visited part of C is too small. Then only reference samples decide.

    Args:
        spec: The analysis.
        prompt: A prompt on which creation is being claimed.
        reference: What the reference reaches.
        lacking: Reference samples the claim lacks.
        drawn: Candidate samples planned so far.
    """
    if prompt.pair is None or drawn >= spec.budget.max_samples_per_prompt:
        return 0
    needed = _draws_needed(spec, prompt, reference)
    return needed if needed is not None and SCORED_COST * needed < lacking else 0


def _draws_needed(spec: AnalysisSpec, prompt: PromptObservations, reference: SideAssessment) -> int | None:
    """Scored candidate samples that are expected to show reach; None where none would, or scoring refuses."""
    rounds = scored_rounds(prompt)
    if not rounds or refuses(rounds):
        return None
    for_in, _ = accepted_thresholds(spec.class_noise, reference.evidence.at_probe.threshold)
    return draws_to_settle(rounds, math.log(for_in), scored_log_target_in(spec))
