"""Nulls of an analysis: experiments on samples already drawn, whose answer is known."""

from collections.abc import Sequence

import numpy as np

from workers.estimators.nulls import NullResult, NullSettings, aa_null, planted_null, tilt_null
from workers.pipelines.document import Json
from workers.pipelines.generators import generator
from workers.pipelines.observations import PromptObservations
from workers.pipelines.spec import CANDIDATE, AnalysisSpec


def null_results(spec: AnalysisSpec, observed: Sequence[PromptObservations]) -> list[NullResult]:
    """The nulls that an analysis can run; the one that needs a candidate only beside one."""
    settings = NullSettings(
        k_use=spec.budget.k_use,
        k_probe=spec.budget.k_probe,
        alpha=spec.thresholds.alpha,
        reach=spec.thresholds.reach,
    )
    judged = [p for p in observed if p.reference.pilot_n]
    c = np.array([p.reference.pilot_successes for p in judged], dtype=np.int64)
    n = np.array([p.reference.pilot_n for p in judged], dtype=np.int64)
    nulls = [aa_null(c, n, settings, generator(spec, "null/aa"))]
    if CANDIDATE in spec.streams:
        sides = [p.candidate for p in judged]
        both = np.array([side is not None and side.pilot_n > 0 for side in sides], dtype=np.bool_)
        rates = np.array([s.pilot_successes / s.pilot_n for s in sides if s is not None and s.pilot_n])
        nulls.append(tilt_null(c[both], n[both], rates, settings, generator(spec, "null/tilt")))
    nulls.append(planted_null(c, n, settings, generator(spec, "null/planted")))
    return nulls


def null_json(null: NullResult) -> Json:
    """As the result document has it."""
    return {
        "null": null.null,
        "status": null.status,
        "expected": dict(null.expected),
        "observed": dict(null.observed),
        "reason": null.reason,
    }
