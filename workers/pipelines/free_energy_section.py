"""The result document's `free_energy`: KL(q||p) and what it was spent on."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import compress

import numpy as np

from workers.estimators.bootstrap_weights import BootstrapWeights
from workers.estimators.closure import Check
from workers.estimators.counts import log_budget
from workers.estimators.dataset import PromptMean, mean_over_prompts
from workers.estimators.estimate import Estimate
from workers.estimators.kl import KLResult, undefined_kl
from workers.estimators.sample_mean import mean_estimate
from workers.pipelines.closure_checks import check_json
from workers.pipelines.document import Json, mean_json
from workers.pipelines.mean_success import families_of, mean_success
from workers.pipelines.observations import SideObservations
from workers.pipelines.position_section import entropy_json, positions_json
from workers.pipelines.prompt_energy import is_dense
from workers.pipelines.prompt_result import (
    CONFIDENCE,
    NOT_SCORED,
    FreeEnergyTerms,
    PromptResult,
    printed_successes,
    terms_of,
)
from workers.pipelines.spec import CANDIDATE, REFERENCE, AnalysisSpec
from workers.pipelines.streams import UNTRUNCATED
from workers.pipelines.temperature_section import response_json, rows_json


def free_energy_section(
    spec: AnalysisSpec,
    results: Sequence[PromptResult],
    checks: Sequence[Check],
    rng: np.random.Generator,
    weights: BootstrapWeights,
    *,
    untruncated: Mapping[int, KLResult] | None = None,
) -> Json:
    """Means over prompts of every free-energy term, with the closure checks.

    Args:
        spec: The analysis.
        results: The prompts.
        checks: The closure checks.
        rng: Source of resamples of prompts.
        weights: Of the Bayesian bootstrap.
        untruncated: KL from untruncated draws of the candidate, by prompt index.
    """
    terms = terms_of(results)
    families = families_of([result for result in results if result.terms is not None])

    def mean(pick: Callable[[FreeEnergyTerms], Estimate], least: float = -math.inf) -> Json:
        picked = [pick(term) for term in terms]
        return mean_json(mean_over_prompts(picked, CONFIDENCE, least=least, families=families))

    def nats(pick: Callable[[FreeEnergyTerms], Estimate]) -> Json:
        return mean(pick, least=0.0)

    section: Json = {
        "kl": nats(lambda t: t.kl.rb),
        "kl_k1": mean(lambda t: t.kl.k1),
        "kl_per_token": nats(lambda t: t.kl.per_token),
        "kl_reverse": nats(lambda t: t.reverse.rb),
        "kl_reverse_k1": mean(lambda t: t.reverse.k1),
        "tilt": nats(lambda t: t.decomposition.tilt),
        "drift": nats(lambda t: t.decomposition.drift),
        "escape": nats(lambda t: t.decomposition.escape),
        "mean_energy": _mean_energy(spec, results, rng, weights),
        "matched_inverse_temperature": mean(lambda t: t.decomposition.matched_inverse_temperature),
        "by_inverse_temperature": rows_json([term.rows for term in terms], families),
        "certificate": _certificate(spec, terms, nats),
        "closure": [check_json(check) for check in checks],
    }
    retreating = [t.decomposition.is_retreat for t in terms]
    if any(retreating):
        retreats = [t.decomposition.escape for t in compress(terms, retreating)]
        left = list(compress(families, retreating))
        section["retreat"] = mean_json(mean_over_prompts(retreats, CONFIDENCE, least=0.0, families=left))
    if UNTRUNCATED in spec.streams:
        section["kl_untruncated"] = _untruncated(spec, results, untruncated or {})
    if any(term.strategies is not None for term in terms):
        section["drift_parts"] = {
            "strategy_level": nats(lambda t: _parts_of_drift(t)[0]),
            "within_strategy": nats(lambda t: _parts_of_drift(t)[1]),
        }
        section["behaviours"] = _behaviours(spec, terms)
    if terms:
        section["response"] = response_json(spec, terms, families)
    if any(result.observed.pair is not None for result in results):
        section["entropy"] = entropy_json(results, weights)
        section["by_position"] = positions_json(results)
    return section


def _parts_of_drift(terms: FreeEnergyTerms) -> tuple[Estimate, Estimate]:
    """Strategy-level and within-strategy drift; a prompt without a labelled success has only the latter."""
    drift = terms.decomposition.drift
    if terms.strategies is None:
        return Estimate(value=0.0, n=drift.n, unit="nats"), drift
    return terms.strategies.strategy, terms.strategies.within


def _untruncated(
    spec: AnalysisSpec,
    results: Sequence[PromptResult],
    untruncated: Mapping[int, KLResult],
) -> Json:
    """KL(q||p) of the models at temperature 1 without truncation, from draws of its own."""
    missing = undefined_kl(NOT_SCORED)
    found = [untruncated.get(result.spec.index, missing) for result in results]
    families = families_of(results)

    def mean(estimates: Sequence[Estimate], least: float = -math.inf) -> Json:
        return mean_json(mean_over_prompts(estimates, CONFIDENCE, least=least, families=families))

    return {
        "kl": mean([kl.rb for kl in found], 0.0),
        "kl_k1": mean([kl.k1 for kl in found]),
        "samples_per_prompt": spec.budget.untruncated_samples_per_prompt,
        "policy": spec.streams[UNTRUNCATED].policy.canonical(),
    }


def _behaviours(spec: AnalysisSpec, terms: Sequence[FreeEnergyTerms]) -> Json:
    """How many behaviours of the candidate were judged, and how they were."""
    judged = [b for t in terms if t.strategies is not None for b in t.strategies.behaviours]
    alpha = spec.thresholds.alpha
    return {
        "judged": len(judged),
        "within_reach": sum(b.reach == "in" for b in judged),
        "out_of_reach": sum(b.reach == "out" for b in judged),
        "undetermined": sum(b.reach == "undetermined" for b in judged),
        "error_control": (
            "within each prompt, e-BH over the behaviours of the candidate's pilot keeps the false "
            f"discovery rate of `out` at {alpha:g}, by counts of the reference's samples alone; `in` "
            f"holds for each behaviour at {alpha:g}"
        ),
    }


def _mean_energy(
    spec: AnalysisSpec, results: Sequence[PromptResult], rng: np.random.Generator, weights: BootstrapWeights
) -> Json:
    """E = -r of both sides."""
    sides = {
        REFERENCE: [r.observed.reference for r in results],
        CANDIDATE: [r.observed.candidate for r in results if r.observed.candidate is not None],
    }
    energies = {}
    for stream, observed in sides.items():
        if is_dense(spec):
            mean = _mean_reward(results, observed, weights)
        else:
            mean = mean_success(results, observed, printed_successes(results, stream), rng)
        energies[stream] = mean_json(PromptMean(_negated(mean.population), mean.sampling_std_error))
    return energies


def _mean_reward(
    results: Sequence[PromptResult], sides: Sequence[SideObservations], weights: BootstrapWeights
) -> PromptMean:
    """Mean of the pilots' rewards."""
    pilots = [side.rewards[: side.pilot_n] for side in sides]
    means = [mean_estimate(rewards, weights, unit="reward", confidence=CONFIDENCE) for rewards in pilots]
    return mean_over_prompts(means, CONFIDENCE, families=families_of(results))


def _negated(estimate: Estimate) -> Estimate:
    if estimate.value is None:
        return Estimate.undefined(estimate.reason, "reward", estimate.n)
    return Estimate(
        value=-estimate.value,
        std_error=estimate.std_error,
        ci_low=None if estimate.ci_high is None else -estimate.ci_high,
        ci_high=None if estimate.ci_low is None else -estimate.ci_low,
        confidence=estimate.confidence,
        n=estimate.n,
        unit="reward",
        status=estimate.status,
        reason=estimate.reason,
    )


def _certificate(
    spec: AnalysisSpec,
    terms: Sequence[FreeEnergyTerms],
    nats: Callable[[Callable[[FreeEnergyTerms], Estimate]], Json],
) -> Json:
    lows = [t.certificate.margin.ci_low for t in terms]
    return {
        "price_bound": nats(lambda t: t.certificate.price_bound),
        "budget": log_budget(spec.budget.k_probe, spec.thresholds.reach),
        "certified_prompts": sum(low is not None and low >= 0 for low in lows),
    }
