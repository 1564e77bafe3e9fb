"""How many more samples would settle a prompt whose gain counts as undetermined."""

from collections.abc import Sequence

from workers.estimators.counts import epsilon
from workers.estimators.regimes import PromptEvidence, Reach, Regime, classify_regime
from workers.estimators.selection import log_target
from workers.estimators.settle import samples_to_settle
from workers.estimators.verifier_noise import accepted_thresholds


def samples_to_settle_prompts(
    prompts: Sequence[PromptEvidence], *, alpha: float, reach: float
) -> list[int | None]:
    """Further samples of either side that would settle each prompt, if they go on as they went.

    A prompt in an undetermined regime needs the samples of its undetermined classes. A created one that only
    e-BH keeps from being confirmed needs reference samples until its e-value reaches M/(alpha k), k the
    prompts that are created.

    Args:
        prompts: The evidence of every prompt.
        alpha: Error level of the selection.
        reach: Chance of one success in K that counts as reachable.

    Returns:
        For each prompt, 0 where it is settled, None where no number of samples is known to settle it.
    """
    regimes = [classify_regime(one) for one in prompts]
    created = sum(bool(regime.confirmation) for regime in regimes)
    target = log_target(max(len(prompts), 1), created, alpha)
    return [_needed(one, regime, target, reach) for one, regime in zip(prompts, regimes, strict=True)]


def _needed(evidence: PromptEvidence, regime: Regime, target: float, reach: float) -> int | None:
    if regime.name == "undetermined":
        return _until_classed(evidence, reach)
    failed = {check.check for check in regime.confirmation if not check.passed}
    if not failed:
        return 0
    if failed != {"e_bh"}:
        return None
    policies = (evidence.reference_probe, *evidence.elicitation_arms)
    needs = [_until_kept(policy, target, reach) for policy in policies]
    return None if None in needs else sum(need for need in needs if need is not None)


def _until_classed(evidence: PromptEvidence, reach: float) -> int | None:
    """Samples of the open classes; of the reference's policies one that is on its way `in` is enough.

    A prompt is out only where every policy is, and reached where one is: no policy needs its samples once
    another reaches.
    """
    policies = (evidence.reference_probe, *evidence.elicitation_arms)
    open_ones = [one for one in policies if one.label == "undetermined"]
    needs = [one.samples_to_settle for one in open_ones]
    rising = [
        need for one, need in zip(open_ones, needs, strict=True) if need is not None and _rises(one, reach)
    ]
    needs = [min(rising)] if rising else needs
    if evidence.candidate_use.label == "undetermined":
        needs.append(evidence.candidate_use.samples_to_settle)
    known = [need for need in needs if need is not None]
    return sum(known) if known else None


def _rises(policy: Reach, reach: float) -> bool:
    """Whether further samples at the rate so far would show that the policy reaches."""
    threshold, _ = accepted_thresholds(policy.noise, epsilon(policy.budget, reach))
    return policy.samples > 0 and policy.successes / policy.samples > threshold


def _until_kept(policy: Reach, target: float, reach: float) -> int | None:
    _, threshold = accepted_thresholds(policy.noise, epsilon(policy.budget, reach))
    return samples_to_settle(policy.successes, policy.samples, threshold, target, policy.planned_samples)
