"""How the candidate moved: findings that need token-level terms or behaviours."""

from collections.abc import Sequence

import numpy as np

from workers.estimators.findings import Finding, collapse, drift_dominated
from workers.estimators.tilted_entropy import tilted_entropy
from workers.pipelines.behaviour_section import is_labelled, side_behaviours
from workers.pipelines.mean_success import families_of
from workers.pipelines.prompt_result import PromptResult
from workers.pipelines.spec import CANDIDATE, REFERENCE, AnalysisSpec


def movement_findings(spec: AnalysisSpec, results: Sequence[PromptResult]) -> list[Finding]:
    """Collapse and drift, from the prompts that can show them."""
    found = [
        _entropy_collapse(spec, results),
        _behaviour_collapse(spec, results) if is_labelled(spec) else None,
        _drift(spec, results),
    ]
    return [finding for finding in found if finding is not None]


def _entropy_collapse(spec: AnalysisSpec, results: Sequence[PromptResult]) -> Finding | None:
    kept, candidate, tilted = [], [], []
    for result in results:
        pair = result.observed.pair
        if pair is None:
            continue
        own_p, own_q = pair.log_p[: pair.n_p], pair.log_q[pair.n_p :]
        rate = float(pair.correct[pair.n_p :].mean())
        expected = tilted_entropy(own_p, pair.correct[: pair.n_p], rate)
        if expected is not None:
            kept.append(result)
            candidate.append(float(-own_q.mean()))
            tilted.append(expected)
    return _collapse(spec, kept, candidate, tilted, "sequence entropy")


def _behaviour_collapse(spec: AnalysisSpec, results: Sequence[PromptResult]) -> Finding | None:
    kept, candidate, tilted = [], [], []
    for result in results:
        if result.observed.candidate is None:
            continue
        sides = [side_behaviours(result, stream).entropy.value for stream in (CANDIDATE, REFERENCE)]
        if sides[0] is not None and sides[1] is not None:
            kept.append(result)
            candidate.append(sides[0])
            tilted.append(sides[1])
    return _collapse(spec, kept, candidate, tilted, "behaviour entropy of successes")


def _collapse(
    spec: AnalysisSpec,
    results: Sequence[PromptResult],
    candidate: Sequence[float],
    tilted: Sequence[float],
    what: str,
) -> Finding | None:
    return collapse(
        np.array(candidate, np.float64),
        np.array(tilted, np.float64),
        what,
        max_share=spec.thresholds.collapse_max_entropy_share,
        confidence=1 - spec.thresholds.alpha,
        families=families_of(results),
    )


def _drift(spec: AnalysisSpec, results: Sequence[PromptResult]) -> Finding | None:
    kept, kls, drifts = [], [], []
    for result in results:
        if result.terms is None:
            continue
        kl, drift = result.terms.kl.rb.value, result.terms.decomposition.drift.value
        if kl is not None and drift is not None:
            kept.append(result)
            kls.append(kl)
            drifts.append(drift)
    return drift_dominated(
        np.array(kls, np.float64),
        np.array(drifts, np.float64),
        min_share=spec.thresholds.drift_dominated_min_share,
        min_nats=spec.thresholds.drift_dominated_min_nats,
        confidence=1 - spec.thresholds.alpha,
        families=families_of(kept),
    )
