"""Arms in the result document: what the reference reached under each, by prompt and over prompts."""

from collections.abc import Sequence

import numpy as np

from workers.estimators.estimate import Estimate
from workers.pipelines.arms import assess_arm, samples_of
from workers.pipelines.assessment import own_bounds
from workers.pipelines.document import Json, estimate_json, mean_json
from workers.pipelines.mean_success import mean_success
from workers.pipelines.observations import SideObservations
from workers.pipelines.prompt_result import ALPHA, PromptResult
from workers.pipelines.spec import AnalysisSpec
from workers.pipelines.streams import Stream


def arm_rows(spec: AnalysisSpec, result: PromptResult) -> list[Json]:
    """The arms that were drawn on one prompt, cheapest first."""
    rows = []
    for arm in (*spec.elicitation, *spec.assisted):
        side = samples_of(result.observed, arm)
        if side.n:
            rows.append(
                {
                    "arm": arm.arm,
                    "role": arm.role,
                    "successes": side.successes,
                    "samples": side.n,
                    "success": estimate_json(_success(spec, side)),
                    "class_at_k_probe": assess_arm(spec, arm, side).label,
                }
            )
    return rows


def arm_section(spec: AnalysisSpec, results: Sequence[PromptResult], rng: np.random.Generator) -> list[Json]:
    """Every arm of the request, cheapest first, drawn or not."""
    return [_arm(spec, arm, results, rng) for arm in (*spec.elicitation, *spec.assisted)]


def _arm(spec: AnalysisSpec, arm: Stream, results: Sequence[PromptResult], rng: np.random.Generator) -> Json:
    sides = [samples_of(result.observed, arm) for result in results]
    drawn = [side for side in sides if side.n]
    labels = [assess_arm(spec, arm, side).label for side in drawn]
    found: Json = {
        "arm": arm.arm,
        "role": arm.role,
        "prompts": len(drawn),
        "samples": sum(side.n for side in drawn),
        "successes": sum(side.successes for side in drawn),
        "reached": labels.count("in"),
        "out": labels.count("out"),
        "undetermined": labels.count("undetermined"),
    }
    if arm.name in spec.piloted:
        rates = [_success(spec, side) for side in sides]
        found["success"] = mean_json(mean_success(results, sides, rates, rng))
    return found


def _success(spec: AnalysisSpec, side: SideObservations) -> Estimate:
    """The pilot's rate under an arm, with an interval from all its samples."""
    return own_bounds(spec, side, None, ALPHA).success
