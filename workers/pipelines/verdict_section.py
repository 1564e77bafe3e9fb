"""The result document's `verdict` and `gain`."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from workers.estimators.decision import Decision
from workers.estimators.estimate import Estimate
from workers.estimators.findings import NEWS, Finding
from workers.estimators.gain import PromptRecord
from workers.estimators.nulls import NullResult, withholding
from workers.estimators.regimes import reference_class, select_out
from workers.estimators.share import GainPart
from workers.estimators.verdict import Verdict, decide
from workers.pipelines.document import Json, estimate_json
from workers.pipelines.prompt_result import PromptResult, record
from workers.pipelines.spec import AnalysisSpec

CURVE_STEP = 4
"""Ratio of neighbouring K_probe on the verdict's curve."""

OPENING = {
    "elicitation": "Post-training tilted the reference: the gain lies where the reference already reached.",
    "creation": (
        "Post-training took the model somewhere new: the gain lies where this reference did not reach under "
        "this policy, signal and budget."
    ),
    "mixed": "Both: part of the gain lies where the reference already reached, part where it did not.",
    "inconclusive": "Inconclusive: these samples do not decide between elicitation and creation.",
}


def records_of(
    spec: AnalysisSpec, results: Sequence[PromptResult], k_probe: int | None = None
) -> list[PromptRecord]:
    """The prompts as the verdict sees them, e-BH done over all of them; chance floors still unmeasured."""
    unselected = [record(spec, result, k_probe=k_probe) for result in results]
    kept = select_out([prompt.evidence for prompt in unselected], spec.thresholds.alpha)
    return [
        replace(prompt, evidence=replace(prompt.evidence, selected=bool(selected)))
        for prompt, selected in zip(unselected, kept, strict=True)
    ]


def may_be_created(record: PromptRecord) -> bool:
    """Whether creation may be claimed of a prompt, its truncated and unparsed samples read either way."""
    side = record.candidate
    return reference_class(record.evidence) == "out" and side.successes + side.unusable > 0


def with_floors(records: Sequence[PromptRecord], floors: Sequence[float | None]) -> list[PromptRecord]:
    """The records with their chance floors."""
    return [
        replace(prompt, evidence=replace(prompt.evidence, chance_floor=floor))
        for prompt, floor in zip(records, floors, strict=True)
    ]


def verdict_of(
    spec: AnalysisSpec,
    records: Sequence[PromptRecord],
    at_k_probe: Mapping[int, Sequence[PromptRecord]],
    nulls: Sequence[NullResult],
    failed_checks: Sequence[str],
    movement: Sequence[Finding],
    rng: np.random.Generator,
) -> Verdict:
    """Decide; failed blocking checks and nulls withhold the verdict."""
    blocking = [f"the closure check {name} failed" for name in failed_checks] + withholding(nulls)
    thresholds = spec.thresholds
    decision = Decision(**{name: getattr(thresholds, name) for name in thresholds.__slots__})
    return decide(records, decision, rng=rng, blocking=blocking, at_k_probe=at_k_probe, movement=movement)


def curve_of_k_probe(spec: AnalysisSpec) -> list[int]:
    """K_probe of the verdict's curve: from K_use to four times the request's, in steps of four."""
    budget = spec.budget
    steps = math.ceil(math.log(budget.k_probe / budget.k_use, CURVE_STEP)) if budget.k_probe > 1 else 0
    below = {max(budget.k_use, budget.k_probe // CURVE_STEP**i) for i in range(steps + 1)}
    return sorted(below | {budget.k_probe * CURVE_STEP})


def verdict_json(verdict: Verdict) -> Json:
    """The verdict as the result document has it."""
    return {
        "label": verdict.label,
        "sentence": _sentence(verdict),
        "creation_share": {
            "lower": estimate_json(verdict.creation_share.lower),
            "upper": estimate_json(verdict.creation_share.upper),
        },
        "findings": [finding.finding for finding in verdict.findings],
        "reasons": list(verdict.reasons),
        "by_k_probe": [
            {
                "k_probe": point.k_probe,
                "label": point.label,
                "creation_share_lower": point.lower.value,
                "creation_share_upper": point.upper.value,
            }
            for point in verdict.by_k_probe
        ],
        "gain_p_value": verdict.gain_p_value,
        "certified": {"elicited": verdict.certified_elicited, "created": verdict.certified_created},
        "samples_to_settle": verdict.samples_to_settle,
    }


def gain_json(verdict: Verdict) -> Json:
    """The gain split as the result document has it."""
    parts = ("total", "elicited", "created", "lost", "undetermined")
    return {part: _part_json(getattr(verdict.gain, part)) for part in parts}


def _part_json(part: GainPart) -> dict[str, Any]:
    return {**estimate_json(part.estimate), "sampling_std_error": part.sampling_std_error}


def _sentence(verdict: Verdict) -> str:
    """What a reader sees first: findings lead where they are the news."""
    news = [f"{finding.detail}." for finding in verdict.findings if finding.finding in NEWS]
    rest = [] if verdict.label == "inconclusive" else [_share(verdict)]
    return " ".join([*(text[0].upper() + text[1:] for text in news), OPENING[verdict.label], *rest])


def _share(verdict: Verdict) -> str:
    lower, upper = verdict.creation_share.lower, verdict.creation_share.upper
    total = verdict.gain.total.estimate
    if total.value is None or lower.value is None or upper.value is None:
        return "There is no gain to divide."
    low, high = _ends(lower)[0], _ends(upper)[1]
    if high < 0.005:
        share = "practically none of what was gained is created"
    elif low > 0.995:
        share = "practically all of what was gained is created"
    else:
        share = f"between {low:.0%} and {high:.0%} of what was gained is created"
    return f"Mean gain {total.value:+.3f}; {share}."


def _ends(estimate: Estimate) -> tuple[float, float]:
    value = estimate.value or 0.0
    low = value if estimate.ci_low is None else estimate.ci_low
    return low, value if estimate.ci_high is None else estimate.ci_high
