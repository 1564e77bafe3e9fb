"""The verifier's error rates, from the request's audit."""

from dataclasses import replace
from typing import Any

from workers.estimators.verifier_noise import AUDIT_SHARE, Audit, Noise
from workers.pipelines.assessment import SideAssessment, assess_candidate, assess_reference
from workers.pipelines.document import Json, estimate_json
from workers.pipelines.judge import Judge
from workers.pipelines.prompt_result import CONFIDENCE, PromptResult
from workers.pipelines.spec import AnalysisSpec
from workers.verifiers.judgement import Case


def audited(spec: AnalysisSpec, judge: Judge) -> AnalysisSpec:
    """The analysis with its audit counted; unchanged without one.

    Of the error level, `AUDIT_SHARE` goes to the audit's rates and the rest to the samples, so that a class
    still errs with chance alpha at most.

    Args:
        spec: The analysis as requested.
        judge: Judges the labelled texts.
    """
    if spec.audit_request is None:
        return spec
    audit = _counted(spec, spec.audit_request, judge)
    thresholds = replace(spec.thresholds, alpha=alpha_of_samples(spec))
    return replace(spec, thresholds=thresholds, noise=Noise(audit, audit.bounds(spec.thresholds.alpha)))


def alpha_of_samples(spec: AnalysisSpec) -> float:
    """What of a request's error level is left for the samples."""
    return spec.thresholds.alpha * (1.0 if spec.audit_request is None else 1 - AUDIT_SHARE)


def _counted(spec: AnalysisSpec, request: dict[str, Any], judge: Judge) -> Audit:
    if request["counts"] is not None:
        return Audit(**request["counts"])
    keys = {prompt.id: prompt.key for prompt in spec.prompts}
    texts = [text for text in request["texts"] if text["prompt_id"] in keys]
    cases = [Case(text["text"], keys[text["prompt_id"]], "eos") for text in texts]
    judged = judge.judge(spec.signal, cases)
    found = [
        (text["is_right"], judgement.outcome == "correct")
        for text, judgement in zip(texts, judged, strict=True)
        if judgement.outcome != "verifier_error"
    ]
    return Audit(
        right=sum(right for right, _ in found),
        accepted_right=sum(right and accepted for right, accepted in found),
        wrong=sum(not right for right, _ in found),
        accepted_wrong=sum(accepted and not right for right, accepted in found),
    )


def noise_lines(spec: AnalysisSpec, result: PromptResult) -> list[str]:
    """Which classes the verifier's noise leaves undetermined, and why."""
    if spec.noise is None:
        return []
    bounds, plain = spec.noise.for_classes, replace(spec, noise=None)
    sides: list[tuple[str, SideAssessment, SideAssessment]] = [
        ("reference", result.reference, assess_reference(plain, result.observed))
    ]
    if result.candidate is not None:
        sides.append(("candidate", result.candidate, assess_candidate(plain, result.observed)))
    return [
        f"{name} at K = {with_noise.budget}: {without.label} if the verifier never erred; it may accept up "
        f"to {bounds.f_high:.2%} of wrong texts and refuse up to {bounds.m_high:.2%} of right ones, which "
        f"could explain {with_noise.successes} of {with_noise.samples}"
        for name, noisy, exact in sides
        for with_noise, without in ((noisy.use, exact.use), (noisy.probe, exact.probe))
        if with_noise.label == "undetermined" and without.label != "undetermined"
    ]


def audit_json(spec: AnalysisSpec) -> Json:
    """The audit as `diagnostics` has it: rates with printed intervals."""
    if spec.noise is None:
        return {}
    audit = spec.noise.audit
    return {
        "verifier_audit": {
            "right": audit.right,
            "wrong": audit.wrong,
            "false_positive_rate": estimate_json(audit.false_positive_rate(CONFIDENCE)),
            "false_negative_rate": estimate_json(audit.false_negative_rate(CONFIDENCE)),
        }
    }
