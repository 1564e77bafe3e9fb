"""The result document's `free_energy`: KL(q||p) and what it was spent on."""

import math
from collections.abc import Callable, Sequence
from itertools import chain

import numpy as np

from workers.estimators import closure
from workers.estimators.closure import Check, ScoredPair
from workers.estimators.counts import log_budget
from workers.estimators.dataset import PromptMean, mean_over_prompts
from workers.estimators.estimate import Estimate
from workers.estimators.kl import by_position
from workers.estimators.sample_mean import mean_estimate
from workers.estimators.tilt_rows import TiltRow, mean_tilt_rows
from workers.pipelines.document import Json, estimate_json, mean_json
from workers.pipelines.mean_success import mean_success
from workers.pipelines.prompt_result import CONFIDENCE, FreeEnergyTerms, PromptResult, printed_successes
from workers.pipelines.spec import CANDIDATE, REFERENCE, AnalysisSpec

POSITIONS = 64
"""Token positions listed: a chart has no room for more, and the prompts' Parquet file has them all."""


def terms_of(results: Sequence[PromptResult]) -> list[FreeEnergyTerms]:
    """The prompts' token-level terms."""
    return [result.terms for result in results if result.terms is not None]


def free_energy_section(
    spec: AnalysisSpec, results: Sequence[PromptResult], checks: Sequence[Check], rng: np.random.Generator
) -> Json:
    """Means over prompts of every free-energy term, with the closure checks."""
    terms = terms_of(results)

    def mean(pick: Callable[[FreeEnergyTerms], Estimate]) -> Json:
        return mean_json(mean_over_prompts([pick(term) for term in terms], rng, CONFIDENCE))

    def nats(pick: Callable[[FreeEnergyTerms], Estimate]) -> Json:
        picked = [pick(term) for term in terms]
        return mean_json(mean_over_prompts(picked, rng, CONFIDENCE, least=0.0))

    section: Json = {
        "kl": nats(lambda t: t.kl.rb),
        "kl_k1": mean(lambda t: t.kl.k1),
        "kl_per_token": nats(lambda t: t.kl.per_token),
        "tilt": nats(lambda t: t.decomposition.tilt),
        "drift": nats(lambda t: t.decomposition.drift),
        "escape": nats(lambda t: t.decomposition.escape),
        "mean_energy": _mean_energy(results, rng),
        "matched_inverse_temperature": mean(lambda t: t.decomposition.matched_inverse_temperature),
        "by_inverse_temperature": _rows([term.rows for term in terms], rng),
        "certificate": _certificate(spec, terms, mean),
        "closure": [_check_json(check) for check in checks],
    }
    retreats = [t.decomposition.escape for t in terms if t.decomposition.is_retreat]
    if retreats:
        section["retreat"] = mean_json(mean_over_prompts(retreats, rng, CONFIDENCE))
    if any(result.observed.pair is not None for result in results):
        section["entropy"] = _entropy(results, rng)
        section["by_position"] = _by_position(results, rng)
    return section


def closure_checks(spec: AnalysisSpec, results: Sequence[PromptResult]) -> list[Check]:
    """Identities that must hold; a failed blocking one makes the verdict inconclusive."""
    terms = terms_of(results)
    pairs = [result.observed.pair for result in results if result.observed.pair is not None]
    ratios = [
        ScoredPair(pair.log_p[: pair.n_p] - pair.log_q[: pair.n_p], -pair.candidate_log_ratio)
        for pair in pairs
    ]
    sums = [
        closure.sum_identity(t.kl.rb, t.decomposition.tilt, t.decomposition.drift, t.decomposition.escape)
        for t in terms
    ]
    gaps = [check for result in results for check in _gap_checks(result)]
    differences = [
        pair.kl - pair.candidate_log_ratio
        for pair in pairs
        if np.isfinite(pair.kl).all() and np.isfinite(pair.candidate_log_ratio).all()
    ]
    checks = [_worst(found) for found in (sums, gaps) if found]
    if pairs:
        checks += [
            closure.rao_blackwell_against_k1(differences),
            closure.overlap_identity(ratios),
            closure.mean_weight(ratios),
            closure.overlap(ratios),
            closure.weight_deficit(ratios),
        ]
    return checks


def row_json(row: TiltRow) -> Json:
    """One prompt's terms at one inverse temperature."""
    return {
        "inverse_temperature": row.inverse_temperature,
        "log_partition": estimate_json(row.log_partition),
        "equilibrium": estimate_json(row.equilibrium),
        "free_energy": estimate_json(row.free_energy),
        "gap": estimate_json(row.gap),
    }


def _gap_checks(result: PromptResult) -> list[Check]:
    """F - F* against KL(q||p_beta)/beta = (KL(q||p) - beta E_q[r] + log Z)/beta, term by term."""
    terms, pair = result.terms, result.observed.pair
    if terms is None or pair is None or terms.kl.rb.value is None:
        return []
    mean_reward = float(pair.correct[pair.n_p :].mean())
    checks = []
    for row in terms.rows:
        values = (row.free_energy.value, row.equilibrium.value, row.log_partition.value)
        if None in values:
            continue
        free, least, log_z = (value for value in values if value is not None)
        to_tilt = terms.kl.rb.value - row.inverse_temperature * mean_reward + log_z
        checks.append(closure.gap_identity(free, least, to_tilt, row.inverse_temperature))
    return checks


def _worst(checks: Sequence[Check]) -> Check:
    return max(checks, key=lambda check: check.residual / check.tolerance if check.tolerance else math.inf)


def _check_json(check: Check) -> Json:
    return {
        "check": check.check,
        "residual": check.residual,
        "tolerance": check.tolerance,
        "passed": check.passed,
        "blocking": check.blocking,
    }


def _mean_energy(results: Sequence[PromptResult], rng: np.random.Generator) -> Json:
    """E = -r of both sides."""
    sides = {
        REFERENCE: [r.observed.reference for r in results],
        CANDIDATE: [r.observed.candidate for r in results if r.observed.candidate is not None],
    }
    energies = {}
    for stream, observed in sides.items():
        mean = mean_success(results, observed, printed_successes(results, stream), rng)
        energies[stream] = mean_json(PromptMean(_negated(mean.population), mean.sampling_std_error))
    return energies


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


def _rows(prompts: Sequence[Sequence[TiltRow]], rng: np.random.Generator) -> list[Json]:
    return [
        {
            "inverse_temperature": row.inverse_temperature,
            "log_partition": mean_json(row.log_partition),
            "equilibrium": mean_json(row.equilibrium),
            "free_energy": mean_json(row.free_energy),
            "gap": mean_json(row.gap),
        }
        for row in mean_tilt_rows(prompts, rng, CONFIDENCE)
    ]


def _certificate(
    spec: AnalysisSpec,
    terms: Sequence[FreeEnergyTerms],
    mean: Callable[[Callable[[FreeEnergyTerms], Estimate]], Json],
) -> Json:
    lows = [t.certificate.margin.ci_low for t in terms]
    return {
        "price_bound": mean(lambda t: t.certificate.price_bound),
        "budget": log_budget(spec.budget.k_probe, spec.thresholds.reach),
        "certified_prompts": sum(low is not None and low >= 0 for low in lows),
    }


def _entropy(results: Sequence[PromptResult], rng: np.random.Generator) -> Json:
    """Mean over prompts of each side's sequence entropy along its own samples."""
    pairs = [result.observed.pair for result in results if result.observed.pair is not None]
    sides = {
        "reference": [pair.entropy_p for pair in pairs],
        "candidate": [pair.entropy_q for pair in pairs],
    }
    return {
        side: mean_json(
            mean_over_prompts(
                [mean_estimate(v, rng, unit="nats", confidence=CONFIDENCE, floor=0.0) for v in values],
                rng,
                CONFIDENCE,
            )
        )
        for side, values in sides.items()
    }


def _by_position(results: Sequence[PromptResult], rng: np.random.Generator) -> list[Json]:
    """KL by token position over the candidate draws of the prompts that have a KL; they add up to it."""
    kept = [r.observed.pair for r in results if r.terms is not None and r.terms.kl.rb.value is not None]
    rows = list(chain.from_iterable(pair.token_kl for pair in kept if pair is not None))
    return [
        {"position": found.position, "estimate": estimate_json(found.contribution)}
        for found in by_position(rows, rng, CONFIDENCE)[:POSITIONS]
    ]
