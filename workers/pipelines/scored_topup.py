"""Candidate samples whose scores are expected to show that the reference reaches a prompt."""

from workers.pipelines.assessment import scored_rounds
from workers.pipelines.later_rounds import draws_to_show_reach
from workers.pipelines.observations import PromptObservations
from workers.pipelines.spec import AnalysisSpec


def scored_samples(spec: AnalysisSpec, prompt: PromptObservations, lacking: int, drawn: int) -> int:
    """Candidate samples to draw and score instead of the reference samples that a claim of creation lacks.

    0 where scores cannot show reach, or at a higher price: scoring refuses, no success of the candidate has
    a chance under the reference, or the visited part of C is too small. Then only reference samples decide.

    Args:
        spec: The analysis.
        prompt: A prompt on which creation is being claimed.
        lacking: Reference samples the claim lacks.
        drawn: Candidate samples planned so far.
    """
    side, rounds = prompt.candidate, scored_rounds(prompt)
    if side is None or not side.n or not rounds or drawn >= spec.budget.max_samples_per_prompt:
        return 0
    needed = draws_to_show_reach(spec, rounds)
    each = 1 + side.successes / side.n  # every sample is drawn, successes are read too
    return needed if needed is not None and each * needed < lacking else 0
