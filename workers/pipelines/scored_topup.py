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
    """Prompts whose further candidate samples are scored: those not yet shown to be within reach.

    Elsewhere scores have nothing left to show, and a loss is certified by counts.
    """
    open_ones = (p for p in observations if p.pair is not None)
    return frozenset(p.index for p in open_ones if assess_reference(spec, p).probe.label != "in")


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
    rounds = scored_rounds(prompt)
    if prompt.pair is None or not rounds or refuses(rounds) or drawn >= spec.budget.max_samples_per_prompt:
        return 0
    for_in, _ = accepted_thresholds(spec.class_noise, reference.evidence.at_probe.threshold)
    needed = draws_to_settle(rounds, math.log(for_in), scored_log_target_in(spec))
    return needed if needed is not None and SCORED_COST * needed < lacking else 0
