"""Samples that certify a loss: the candidate out of reach where the reference was in reach."""

import math
from collections.abc import Sequence

import numpy as np

from workers.estimators.counts import log_e_out
from workers.estimators.selection import e_bh, log_target
from workers.estimators.settle import samples_to_settle, samples_to_settle_in
from workers.estimators.verifier_noise import accepted_thresholds
from workers.pipelines.assessment import SideAssessment, planned_samples
from workers.pipelines.observations import PromptObservations
from workers.pipelines.spec import AnalysisSpec


def loss_open(
    prompt: PromptObservations, reference: SideAssessment, candidate: SideAssessment | None
) -> bool:
    """Whether a loss is being claimed: the reference reaches C, the candidate has not been seen to."""
    side = prompt.candidate
    if side is None or candidate is None:
        return False
    reached = "in" in (reference.use.label, reference.probe.label)
    return reached and candidate.probe.label != "in" and not side.successes


def loss_target(
    spec: AnalysisSpec,
    observations: Sequence[PromptObservations],
    references: Sequence[SideAssessment],
    claimed: Sequence[bool],
    drawn: Sequence[int],
) -> float:
    """Log(M / (alpha k)), k the losses that e-BH would keep if no sample still allowed succeeded.

    Of a trajectory, alpha is shared among the checkpoints.

    Args:
        spec: The analysis.
        observations: One a prompt.
        references: What the reference reaches, one a prompt.
        claimed: Whether a loss is being claimed, one a prompt.
        drawn: Candidate samples planned so far, one a prompt.
    """
    planned = planned_samples(spec, spec.budget.k_probe)
    best = []
    for prompt, reference, is_open, count in zip(observations, references, claimed, drawn, strict=True):
        if not is_open or prompt.candidate is None:
            best.append(-math.inf)
            continue
        left = spec.budget.max_samples_per_prompt - count
        at = reference.evidence.at_probe
        _, for_out = accepted_thresholds(spec.class_noise, at.threshold)
        best.append(min(at.log_e_in, log_e_out(0, prompt.candidate.n + left, for_out, planned)))
    alpha = spec.thresholds.alpha / spec.comparisons
    kept = int(e_bh(np.array(best, dtype=np.float64), alpha).sum())
    return log_target(len(observations), max(1, kept), alpha)


def settle_loss(
    spec: AnalysisSpec,
    prompt: PromptObservations,
    reference: SideAssessment,
    candidate: SideAssessment,
    target: float,
) -> tuple[int, int]:
    """Reference and candidate samples until the loss counts among those that e-BH keeps.

    The candidate's come first: one success ends the claim, and then the reference's were for nothing.
    """
    own, side = prompt.reference, prompt.candidate
    if side is None:
        return 0, 0
    planned = planned_samples(spec, spec.budget.k_probe)
    for_in, for_out = accepted_thresholds(spec.class_noise, candidate.evidence.at_probe.threshold)
    more = samples_to_settle(side.successes, side.n, for_out, target, planned) or 0
    if more or reference.evidence.at_probe.log_e_in >= target:
        return 0, more
    return samples_to_settle_in(own.successes, own.n, for_in, target) or 0, 0
