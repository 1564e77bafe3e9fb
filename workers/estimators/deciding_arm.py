"""Which arm of the reference decides a prompt's regime."""

from workers.estimators.regimes import CREATED, PromptEvidence, RegimeName, candidate_class


def deciding_arm(evidence: PromptEvidence, name: RegimeName) -> str | None:
    """The arm without which the prompt would be in another regime, or its claim would be stronger.

    A tail that only arms reach: the cheapest that is `in`. A barrier: the first assisted arm that is `in`. A
    created prompt otherwise: the arm that is `out` by the least e-value, the one that e-BH looks at. An
    undetermined prompt that only open arms keep so: the one of these with the least e-value.

    Args:
        evidence: What the regime was decided by.
        name: The regime.

    Returns:
        None where the analysis's own policy decides, or no arm matters.
    """
    own = {evidence.reference_use.label, evidence.reference_probe.label}
    arms = evidence.elicitation_arms
    if name == "tail" and "in" not in own:
        return next(arm.arm for arm in arms if arm.label == "in")
    if name == "barrier":
        return next(arm.arm for arm in evidence.assisted_arms if arm.label == "in")
    if name in CREATED and arms:
        least = min((evidence.reference_probe, *arms), key=lambda policy: policy.log_e_out)
        return least.arm or None
    is_left_out = evidence.reference_probe.label == "out" and "in" not in own
    if name == "undetermined" and is_left_out and candidate_class(evidence) != "undetermined":
        open_ones = [arm for arm in arms if arm.label == "undetermined"]
        return min(open_ones, key=lambda arm: arm.log_e_out).arm if open_ones else None
    return None
