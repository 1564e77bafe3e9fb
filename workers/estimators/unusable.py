"""What would follow if truncated and unparsed samples had succeeded: the sensitivity of a verdict to them."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Literal

from workers.estimators.counts import epsilon
from workers.estimators.decision import Decision
from workers.estimators.gain import PromptRecord
from workers.estimators.regimes import PromptEvidence, Reach, select_out

Side = Literal["reference", "candidate"]


def unusable_share(prompts: Sequence[PromptRecord]) -> float:
    """Truncated and unparsed samples of the side that has more of them, as a share of its samples."""
    shares = []
    for side in ([p.reference for p in prompts], [p.candidate for p in prompts]):
        samples = sum(one.samples for one in side)
        shares.append(sum(one.unusable for one in side) / samples if samples else 0.0)
    return max(shares)


def move_unusable(
    prompts: Sequence[PromptRecord], sides: Collection[Side], decision: Decision
) -> list[PromptRecord]:
    """The prompts with the truncated and unparsed samples of some sides counted as successes.

    Classes, arms, e-BH, bounds and pilots follow; second verifier, zeros and chance floor stay.
    """
    evidences = [_move_evidence(p.evidence, sides, decision) for p in prompts]
    moved = []
    for prompt, evidence, selected in zip(
        prompts, evidences, select_out(evidences, decision.alpha), strict=True
    ):
        threshold = epsilon(evidence.reference_probe.budget, decision.reach)
        reference, candidate = prompt.reference, prompt.candidate
        if "reference" in sides:
            reference = reference.with_unusable_as_successes(alpha=decision.alpha, threshold=threshold)
        if "candidate" in sides:
            candidate = candidate.with_unusable_as_successes(alpha=decision.alpha, threshold=threshold)
        evidence = replace(evidence, selected=bool(selected), candidate_low=candidate.low)
        moved.append(replace(prompt, evidence=evidence, reference=reference, candidate=candidate))
    return moved


def _move_evidence(evidence: PromptEvidence, sides: Collection[Side], decision: Decision) -> PromptEvidence:
    def moved(reach: Reach) -> Reach:
        return reach.with_unusable_as_successes(alpha=decision.alpha, reach=decision.reach)

    if "reference" in sides:
        evidence = replace(
            evidence,
            reference_use=moved(evidence.reference_use),
            reference_probe=moved(evidence.reference_probe),
            elicitation_arms=tuple(moved(arm) for arm in evidence.elicitation_arms),
            assisted_arms=tuple(moved(arm) for arm in evidence.assisted_arms),
        )
    if "candidate" in sides:
        use, probe = moved(evidence.candidate_use), moved(evidence.candidate_probe)
        evidence = replace(evidence, candidate_use=use, candidate_probe=probe)
    return evidence
