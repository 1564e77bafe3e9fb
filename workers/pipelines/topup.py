"""Where the next samples go: to the prompts on which they can change the verdict."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from workers.estimators.regimes import Reach
from workers.estimators.selection import e_bh, log_target
from workers.estimators.settle import samples_to_settle, samples_to_settle_in
from workers.estimators.verifier_noise import accepted_thresholds
from workers.pipelines.arms import (
    assess_arm,
    best_log_e_out,
    elicitation_reaches,
    next_assisted,
    next_policy,
    samples_of,
)
from workers.pipelines.assessment import (
    SideAssessment,
    assess_candidate,
    assess_reference,
    planned_samples,
)
from workers.pipelines.class_targets import log_target_in
from workers.pipelines.loss_topup import loss_open, loss_target, settle_loss
from workers.pipelines.observations import PromptObservations, SideObservations
from workers.pipelines.scored_topup import scored_samples
from workers.pipelines.spec import CANDIDATE, REFERENCE, AnalysisSpec

GROWTH = 3
"""A round adds at most this many times the samples a prompt has: a prompt that turns out to be within reach
then costs at most a third of what certifying the opposite would have."""

LENGTH_MARGIN = 1.25
"""On the mean length of a completion, for the lengths still to come."""

LEAST_SHARE = 0.05
"""Below this share of a round the token budget counts as spent."""


def wanted_samples(
    spec: AnalysisSpec, observations: Sequence[PromptObservations], drawn: Mapping[str, Sequence[int]]
) -> dict[str, list[int]]:
    """How many more samples each side of each prompt gets; all zero when nothing is left to settle.

    Args:
        spec: The analysis.
        observations: One a prompt.
        drawn: Samples planned so far, by stream and prompt.
    """
    references = [assess_reference(spec, prompt) for prompt in observations]
    judged = [_has_pilot(spec, prompt) for prompt in observations]
    nothing = [0] * len(observations)
    more = {stream: list(nothing) for stream in spec.streams}
    if CANDIDATE not in spec.streams:
        more[REFERENCE] = [_settle_reach(spec, p, r) for p, r in zip(observations, references, strict=True)]
        for arm in (*spec.elicitation, *spec.assisted):
            reaches = [assess_arm(spec, arm, samples_of(prompt, arm)) for prompt in observations]
            more[arm.name] = [r.samples_to_settle or 0 for r in reaches]
    elif spec.kind != "free_energy":
        candidates = [assess_candidate(spec, prompt) for prompt in observations]
        arms = [elicitation_reaches(spec, prompt) for prompt in observations]
        claimed = [
            has_pilot and _creation_open(reference, reaches, candidate)
            for has_pilot, reference, reaches, candidate in zip(
                judged, references, arms, candidates, strict=True
            )
        ]
        counts_of = [{s: counts[i] for s, counts in drawn.items()} for i in range(len(observations))]
        target = _creation_target(spec, observations, claimed, counts_of)
        sides = list(zip(observations, references, candidates, strict=True))
        losses = [has_pilot and loss_open(*one) for has_pilot, one in zip(judged, sides, strict=True)]
        loss = loss_target(spec, observations, references, losses, drawn[CANDIDATE])
        for index, (prompt, reference, candidate) in enumerate(sides):
            if losses[index]:
                counts = settle_loss(spec, prompt, reference, candidate, loss)
                more[REFERENCE][index], more[CANDIDATE][index] = counts
            else:
                more[CANDIDATE][index] = _candidate_samples(prompt, reference, candidate)
            if claimed[index]:
                wanted = _claim_samples(spec, prompt, reference, arms[index], target, counts_of[index])
                if wanted is not None:
                    more[wanted[0]][index] = wanted[1]
    return {
        stream: [
            _bounded(spec, prompt.stream(stream), count, planned) if has_pilot else 0
            for prompt, has_pilot, count, planned in zip(
                observations, judged, counts, drawn.get(stream, nothing), strict=True
            )
        ]
        for stream, counts in more.items()
    }


def token_allowance(
    spec: AnalysisSpec,
    wanted: Mapping[str, Sequence[int]],
    drawn: Mapping[str, Sequence[int]],
    sampled_tokens: int,
) -> dict[str, list[int]]:
    """Cut a round so that it is expected to stay within `max_total_tokens`.

    Prompts that lack least come first: if each got its share of what is left, it would settle none of them.

    A completion is reckoned at `LENGTH_MARGIN` times the mean so far, the length limit at most: reckoned at
    the limit, short answers would take a hundred small rounds to spend what is allowed.
    """
    limit = spec.budget.max_total_tokens
    so_far = sum(map(sum, drawn.values()))
    mean = sampled_tokens / so_far if so_far and sampled_tokens else spec.policy.max_new_tokens
    each = {
        name: min(LENGTH_MARGIN * mean, stream.policy.max_new_tokens) for name, stream in spec.streams.items()
    }
    costs = [
        sum(count * each[stream] for stream, count in zip(wanted, counts, strict=True))
        for counts in zip(*wanted.values(), strict=True)
    ]
    expected = sum(costs)
    if limit is None or sampled_tokens + expected <= limit:
        return {stream: list(counts) for stream, counts in wanted.items()}
    left = max(0.0, limit - sampled_tokens)
    shares = _shares(costs, left if left >= LEAST_SHARE * expected else 0.0)
    return {
        stream: [math.floor(count * share) for count, share in zip(counts, shares, strict=True)]
        for stream, counts in wanted.items()
    }


def _shares(costs: Sequence[float], left: float) -> list[float]:
    """How much of what each prompt lacks fits, the cheapest prompt first; a part of one that does not fit."""
    shares = [0.0] * len(costs)
    for index in sorted(range(len(costs)), key=lambda index: costs[index]):
        if costs[index]:
            shares[index] = min(1.0, left / costs[index])
            left = max(0.0, left - shares[index] * costs[index])
    return shares


def _has_pilot(spec: AnalysisSpec, prompt: PromptObservations) -> bool:
    """Whether the whole pilot was judged on every side; a prompt without it is left out in the end."""
    sides = [prompt.reference] if prompt.candidate is None else [prompt.reference, prompt.candidate]
    return all(sum(side.outcomes.values()) >= spec.budget.samples_per_prompt for side in sides)


def _creation_open(reference: SideAssessment, arms: Sequence[Reach], candidate: SideAssessment) -> bool:
    """Whether creation is being claimed: the candidate reaches C, no policy of the reference is shown to."""
    shown = "in" in (reference.probe.label, reference.use.label, *(arm.label for arm in arms))
    return not shown and candidate.use.label == "in"


def _creation_target(
    spec: AnalysisSpec,
    observations: Sequence[PromptObservations],
    claimed: Sequence[bool],
    drawn: Sequence[Mapping[str, int]],
) -> float:
    """Log(M / (alpha k)), k the claims that e-BH would keep if no sample still allowed succeeded.

    Claims that cannot be settled any more must not count: a target that hopes for them is never enough.
    """
    best = [
        best_log_e_out(spec, prompt, counts, is_open=is_open)
        for prompt, is_open, counts in zip(observations, claimed, drawn, strict=True)
    ]
    kept = int(e_bh(np.array(best, dtype=np.float64), spec.thresholds.alpha).sum())
    return log_target(len(observations), max(1, kept), spec.thresholds.alpha)


def _claim_samples(
    spec: AnalysisSpec,
    prompt: PromptObservations,
    reference: SideAssessment,
    arms: Sequence[Reach],
    target: float,
    drawn: Mapping[str, int],
) -> tuple[str, int] | None:
    """The stream that a creation claim draws next, with what it lacks; assisted arms once it is made.

    The candidate's, to be scored, where that is expected to show the reference's reach for less: no sample
    of the reference is spent on what scores can prove.
    """
    own = _settle_creation(spec, prompt, reference, target)
    if own and (scored := scored_samples(spec, prompt, own, drawn[CANDIDATE])):
        return CANDIDATE, scored
    side, threshold = prompt.reference, reference.evidence.at_probe.threshold
    if own and side.successes > threshold * side.n and drawn[REFERENCE] < spec.budget.max_samples_per_prompt:
        return REFERENCE, own  # on its way to `in`: no arm needs to be drawn
    wanted = next_policy(spec, arms, target, drawn, own)
    if wanted is None and {reference.probe.label, *(arm.label for arm in arms)} == {"out"}:
        return next_assisted(spec, prompt, drawn)
    return wanted


def _settle_creation(
    spec: AnalysisSpec, prompt: PromptObservations, reference: SideAssessment, target: float
) -> int:
    """Reference samples until `out` counts among the claims e-BH keeps, or `in` is shown."""
    side = prompt.reference
    at = reference.evidence.at_probe
    if at.log_e_out >= target:
        return 0
    planned = planned_samples(spec, spec.budget.k_probe)
    for_in, for_out = accepted_thresholds(spec.class_noise, at.threshold)
    out = samples_to_settle(side.successes, side.n, for_out, target, planned)
    if side.n and side.successes / side.n > for_in:
        goal = log_target_in(spec, scored=prompt.pair is not None)
        inside = samples_to_settle_in(side.successes, side.n, for_in, goal)
        return min(filter(None, (out, inside)), default=0)
    return out or 0


def _candidate_samples(
    prompt: PromptObservations, reference: SideAssessment, candidate: SideAssessment
) -> int:
    """Candidate samples that decide between created and not."""
    side = prompt.candidate
    if side is None or not side.successes or reference.probe.label == "in":
        return 0
    return (candidate.use.samples_to_settle or 0) if candidate.use.label == "undetermined" else 0


def _settle_reach(spec: AnalysisSpec, prompt: PromptObservations, reference: SideAssessment) -> int:
    """One side alone: samples until its class at K_probe is settled."""
    if reference.probe.label != "undetermined" or reference.use.label == "in":
        return 0
    return _forecast(prompt.reference, reference)


def _forecast(side: SideObservations, assessment: SideAssessment) -> int:
    more = assessment.probe.samples_to_settle
    return side.n if more is None else more


def _bounded(spec: AnalysisSpec, side: SideObservations | None, count: int, drawn: int) -> int:
    """At most `GROWTH`; at least half of what there is, so that forecasts that fall short cost few rounds.

    What certifies `out` from failures alone is no forecast but exact, and nothing is drawn beyond it.
    """
    if count == 0:
        return 0
    most = GROWTH * drawn or spec.budget.samples_per_prompt
    least = drawn // 2 if side is not None and side.successes else 0
    wanted = min(max(count, least), most)
    return max(0, min(wanted, spec.budget.max_samples_per_prompt - drawn))
