"""The result document's `support`: what each side reaches, and how it compares."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from workers.estimators.counts import epsilon, log_budget
from workers.estimators.coverage import coverage, coverage_sampling_error
from workers.estimators.crossing import crossing_k
from workers.estimators.evidence import Class
from workers.estimators.literature import unseen_rule
from workers.estimators.pass_at_k import pass_at_k_curve
from workers.estimators.regimes import REGIMES, Regime
from workers.estimators.retention import Retention, retention, retention_null, solved_within
from workers.pipelines.arm_section import arm_section
from workers.pipelines.assessment import candidate_label_at, reference_label_at
from workers.pipelines.behaviour_section import behaviours_json
from workers.pipelines.document import Json, estimate_json, mean_json
from workers.pipelines.mean_success import families_of, mean_success
from workers.pipelines.observations import OUTCOME_NAMES, SideObservations
from workers.pipelines.prompt_result import CONFIDENCE, PromptResult, printed_successes
from workers.pipelines.spec import CANDIDATE, REFERENCE, AnalysisSpec

COVERAGE_TAUS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.5, 0.9)
"""Thresholds of the coverage curve, about half a decade apart."""


CLASS_STEP = 4
"""Ratio of neighbouring budgets of the table of classes, as on the verdict's curve."""

MOST_CLASS_K = 1_000_000
"""No request may ask for more."""


def support_section(
    spec: AnalysisSpec,
    results: Sequence[PromptResult],
    regimes: Sequence[Regime] | None,
    rng: np.random.Generator,
) -> Json:
    """Reach of the sides; regimes, the literature's rule, retention and the crossing with a candidate."""
    references = [result.observed.reference for result in results]
    candidates = [r.observed.candidate for r in results if r.observed.candidate is not None]
    section: Json = {"reference": _side(spec, REFERENCE, references, results, rng)}
    arms = {"arms": arm_section(spec, results, rng)} if spec.elicitation or spec.assisted else {}
    if CANDIDATE not in spec.streams:
        return section | arms
    section["candidate"] = _side(spec, CANDIDATE, candidates, results, rng)
    if regimes is not None:
        seen = Counter(regime.name for regime in regimes)
        section["regimes"] = {name: seen[name] for name in REGIMES}
    section["literature_rule"] = _literature_rule(spec, references, candidates)
    section["retention"] = _retention(references, candidates, families_of(results), rng)
    pilots = *_pilots(references), *_pilots(candidates)
    crossing = crossing_k(*pilots, rng, CONFIDENCE, families=families_of(results))
    section["crossing_k"] = estimate_json(crossing)
    return section | arms


def curve_budgets(spec: AnalysisSpec, largest: int) -> list[int]:
    """Powers of two, K_use and K_probe, up to the pilot's size."""
    powers = {2**i for i in range(largest.bit_length())}
    return sorted(k for k in powers | {spec.budget.k_use, spec.budget.k_probe} if k <= largest)


def _pilots(sides: Sequence[SideObservations]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    successes = np.array([side.pilot_successes for side in sides], dtype=np.int64)
    return successes, np.array([side.pilot_n for side in sides], dtype=np.int64)


def _side(
    spec: AnalysisSpec,
    stream: str,
    sides: Sequence[SideObservations],
    results: Sequence[PromptResult],
    rng: np.random.Generator,
) -> Json:
    estimates = printed_successes(results, stream)
    successes, ns = _pilots(sides)
    families = families_of(results)
    largest = int(ns.min(initial=max(spec.pilots(stream))))
    curve = pass_at_k_curve(
        ns, successes, curve_budgets(spec, largest), rng, confidence=CONFIDENCE, families=families
    )
    reach = spec.thresholds.reach
    taus = sorted({*COVERAGE_TAUS, epsilon(spec.budget.k_use, reach), epsilon(spec.budget.k_probe, reach)})
    judged, labels = ns > 0, np.array(families, dtype=object)
    return {
        "success": mean_json(mean_success(results, sides, estimates, rng)),
        "pass_at_k": [
            {
                "k": point.k,
                "estimate": {**estimate_json(point.mean), "sampling_std_error": point.sampling_std_error},
            }
            for point in curve
        ],
        "coverage": [_coverage(successes[judged], ns[judged], tau, labels[judged], rng) for tau in taus],
        "classes": _classes(spec, stream, sides, results),
        "outcomes": {name: sum(side.outcomes[name] for side in sides) for name in OUTCOME_NAMES},
        **behaviours_json(spec, results, stream),
    }


def class_budgets(spec: AnalysisSpec) -> list[int]:
    """Budgets at which prompts are classed: both of the request's, and powers of four beyond either."""
    budget = spec.budget
    most = min(CLASS_STEP * budget.k_probe, MOST_CLASS_K)
    powers = {CLASS_STEP**i for i in range(math.ceil(math.log(MOST_CLASS_K, CLASS_STEP)))}
    return sorted({budget.k_use, budget.k_probe, *(k for k in powers if k <= most)})


def _classes(
    spec: AnalysisSpec, stream: str, sides: Sequence[SideObservations], results: Sequence[PromptResult]
) -> list[Json]:
    """How many prompts are in, out or undetermined at each budget; every budget stands alone."""
    points = []
    for k in class_budgets(spec):
        if stream == REFERENCE:
            seen = Counter(reference_label_at(spec, result.observed, k) for result in results)
        else:
            seen = Counter(candidate_label_at(spec, side, k) for side in sides)
        reach = spec.thresholds.reach
        at = {"k": k, "epsilon": epsilon(k, reach), "budget_nats": log_budget(k, reach)}
        points.append({**at, "prompts": {label: seen[label] for label in get_args(Class)}})
    return points


def _coverage(
    successes: NDArray[np.int64],
    ns: NDArray[np.int64],
    tau: float,
    families: NDArray[Any],
    rng: np.random.Generator,
) -> Json:
    point = coverage(successes, ns, tau, rng, CONFIDENCE, families)
    error = coverage_sampling_error(successes, ns, tau) if successes.size else None
    return {"tau": tau, "estimate": {**estimate_json(point), "sampling_std_error": error}}


def _literature_rule(
    spec: AnalysisSpec, references: Sequence[SideObservations], candidates: Sequence[SideObservations]
) -> Json:
    """The rule at the largest K it can be applied to with n = K samples of every prompt."""
    fewest = min((side.n for side in (*references, *candidates)), default=0)
    budget = max(1, min(spec.budget.k_probe, fewest))
    rule = unseen_rule(
        [side.correct for side in references], [side.correct for side in candidates], budget=budget
    )
    return {"budget": rule.budget, "unreached": rule.unreached, "created_claims": rule.created_claims}


def _retention(
    references: Sequence[SideObservations],
    candidates: Sequence[SideObservations],
    families: Sequence[str],
    rng: np.random.Generator,
) -> Json:
    """Both at half the pilot, so that the null, made of two halves of one model, is comparable."""
    sides = [_pilots(references), _pilots(candidates)]
    half = int(min(ns.min() for _, ns in sides) // 2) if references else 0
    null = retention_null(*sides[0], half, rng, confidence=CONFIDENCE)
    if half < 1:
        return {"budget": half, **_retention_json(null)}
    solved = [solved_within(successes, ns, half, rng) for successes, ns in sides]
    observed = retention(solved[0], solved[1], rng, CONFIDENCE, families)
    return {"budget": half, **_retention_json(observed), "null": _retention_json(null)}


def _retention_json(metrics: Retention) -> Json:
    names = ("srr", "ndr", "sds", "nscr")
    return {name: estimate_json(getattr(metrics, name)) for name in names}
