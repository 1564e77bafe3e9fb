"""Everything that is estimated about one prompt."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from workers.estimators.bootstrap_weights import BootstrapWeights
from workers.estimators.certificate import Certificate, certify
from workers.estimators.counts import log_budget
from workers.estimators.decomposition import Decomposition
from workers.estimators.estimate import Estimate
from workers.estimators.evidence import SideEvidence
from workers.estimators.gain import PromptRecord, SideSamples, gain_estimate
from workers.estimators.kl import KLResult, sequence_kl, undefined_kl
from workers.estimators.reading import CandidateScores
from workers.estimators.regimes import (
    PromptEvidence,
    Regime,
    SupportZeros,
    classify_regime,
)
from workers.estimators.response import ResponsePoint
from workers.estimators.tilt_rows import TiltRow, tilt_rows
from workers.estimators.verifier_noise import Audit, NoiseBounds
from workers.pipelines.arms import assisted_reaches, elicitation_reaches, policy_reach
from workers.pipelines.assessment import (
    ReferenceAssessment,
    SideAssessment,
    assess_candidate,
    assess_reference,
    candidate_bounds,
    reference_bounds,
)
from workers.pipelines.observations import PromptObservations, ScoredPair, SideObservations
from workers.pipelines.prompt_decomposition import Strategies, decomposed
from workers.pipelines.prompt_energy import log_partitions, response
from workers.pipelines.spec import CANDIDATE, REFERENCE, AnalysisSpec, PromptSpec

ALPHA = 0.05
"""Error level of every printed interval, two-sided; classes and verdict use the request's own level."""

CONFIDENCE = 1 - ALPHA
"""Of every printed interval."""

DIFFERENT_TOKENIZERS = "tokenizers_differ"
NOT_SCORED = "not_scored"
IMPORTED = "imported_samples"


@dataclass(frozen=True, slots=True)
class FreeEnergyTerms:
    """Token-level terms of one prompt; see `workers.estimators` for each.

    `kl` is KL(q‖p) along candidate draws, `reverse` KL(p‖q) along reference draws; `strategies` is None where
    successes bear no labels.
    """

    kl: KLResult
    reverse: KLResult
    decomposition: Decomposition
    strategies: Strategies | None
    rows: tuple[TiltRow, ...]
    response: tuple[ResponsePoint, ...]
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class PromptResult:
    """One prompt.

    Attributes:
        spec: The prompt.
        observed: Its samples.
        reference: What the reference reaches.
        candidate: What the candidate reaches; None without one.
        printed: Bounds of each side, by stream, as they are printed.
        terms: Token-level terms; None without a candidate.
    """

    spec: PromptSpec
    observed: PromptObservations
    reference: ReferenceAssessment
    candidate: SideAssessment | None
    printed: Mapping[str, SideEvidence]
    terms: FreeEnergyTerms | None


def terms_of(results: Sequence[PromptResult]) -> list[FreeEnergyTerms]:
    """The prompts' token-level terms."""
    return [result.terms for result in results if result.terms is not None]


def estimate_prompt(
    spec: AnalysisSpec, prompt: PromptObservations, weights: BootstrapWeights, *, missing_scores: str
) -> PromptResult:
    """Classes, bounds and, with a candidate, the free-energy terms of one prompt.

    Args:
        spec: The analysis.
        prompt: What was observed.
        weights: Of the Bayesian bootstrap.
        missing_scores: Why there is no scored pair, where there is none.
    """
    reference = assess_reference(spec, prompt)
    # Where the request decides at the printed level, the assessment's own bounds are printed.
    anew = spec.thresholds.alpha != ALPHA
    printed: dict[str, SideEvidence] = {
        REFERENCE: reference_bounds(spec, prompt, ALPHA) if anew else reference.evidence
    }
    candidate, terms = None, None
    if prompt.candidate is not None:
        candidate = assess_candidate(spec, prompt)
        own = candidate_bounds(spec, prompt.candidate, ALPHA) if anew else candidate.evidence
        printed[CANDIDATE] = own
        if spec.kind != "support":
            terms = _terms(spec, prompt, prompt.candidate, reference, weights, missing_scores)
    return PromptResult(spec.prompts[prompt.index], prompt, reference, candidate, printed, terms)


def best_success(evidence: SideEvidence) -> Estimate:
    """One side's chance of success, with the point that uses scoring where that is sound.

    The interval is the evidence's own: the upper end from that side's samples alone.
    """
    price, rate = evidence.price, evidence.success
    if price.value is None or rate.value is None:
        return rate
    value = math.exp(-price.value)
    return Estimate(
        value=value,
        std_error=None if price.std_error is None else value * price.std_error,
        ci_low=rate.ci_low,
        ci_high=rate.ci_high,
        confidence=rate.confidence,
        n=rate.n,
        unit="probability",
        status=rate.status,
        reason=rate.reason,
    )


def _terms(
    spec: AnalysisSpec,
    prompt: PromptObservations,
    candidate: SideObservations,
    reference: SideAssessment,
    weights: BootstrapWeights,
    missing_scores: str,
) -> FreeEnergyTerms:
    """KL, its decomposition and the free energies of one prompt.

    a is bounded at half of the error level, so that the other half is left for the candidate's samples.
    """
    half = reference_bounds(spec, prompt, ALPHA / 2)
    success = best_success(half)
    kl = _kl(prompt.pair, weights, missing_scores)
    reverse = _reverse_kl(prompt.pair, weights, missing_scores)
    scores = _scores(prompt.pair, candidate)
    decomposition, strategies = decomposed(
        spec,
        prompt,
        candidate,
        scores,
        kl.rb,
        success,
        policy_reach(spec, prompt, reference),
        weights,
        confidence=CONFIDENCE,
    )
    log_z = log_partitions(spec, prompt, success, weights)
    rewards = candidate.rewards[: candidate.pilot_n]
    if prompt.pair is not None:
        rewards = prompt.pair.rewards[prompt.pair.n_p :]
    rows = tilt_rows(spec.inverse_temperatures, log_z, rewards, scores.kl_rb, kl.rb, weights, CONFIDENCE)
    b = candidate_bounds(spec, candidate, ALPHA / 2).success
    budget = log_budget(spec.budget.k_probe, spec.thresholds.reach)
    curve = tuple(response(spec, prompt, success))
    certificate = certify(kl.rb, b, budget)
    return FreeEnergyTerms(kl, reverse, decomposition, strategies, tuple(rows), curve, certificate)


def _kl(pair: ScoredPair | None, weights: BootstrapWeights, missing_scores: str) -> KLResult:
    """KL(q‖p), y ~ q."""
    if pair is None:
        return undefined_kl(missing_scores)
    return sequence_kl(pair.kl, pair.candidate_log_ratio, pair.token_kl.lengths, weights, CONFIDENCE)


def _reverse_kl(pair: ScoredPair | None, weights: BootstrapWeights, missing_scores: str) -> KLResult:
    """KL(p‖q), y ~ p."""
    if pair is None:
        return undefined_kl(missing_scores)
    lengths = pair.reverse_token_kl.lengths
    return sequence_kl(pair.reverse_kl, pair.reference_log_ratio, lengths, weights, CONFIDENCE)


def _scores(pair: ScoredPair | None, candidate: SideObservations) -> CandidateScores:
    """The candidate's pilot.

    Without scores every log-ratio is unknown and stands as +inf, beside a KL that is undefined: only
    count-based terms get a value.
    """
    if pair is None:
        unknown = np.full(candidate.pilot_n, np.inf)
        return CandidateScores(kl_rb=unknown, log_ratio=unknown, is_success=candidate.pilot)
    return CandidateScores(
        kl_rb=pair.kl, log_ratio=pair.candidate_log_ratio, is_success=pair.correct[pair.n_p :]
    )


def record(spec: AnalysisSpec, result: PromptResult, *, k_probe: int | None = None) -> PromptRecord:
    """The prompt as the verdict sees it, at the request's K_probe or another.

    Not yet selected by e-BH, and without a chance floor.

    Raises:
        ValueError: the analysis has no candidate.
    """
    prompt = result.observed
    if prompt.candidate is None or result.candidate is None:
        raise ValueError("a verdict needs a candidate")
    other = k_probe is not None and k_probe != spec.budget.k_probe
    reference = result.reference
    if other:
        reference = assess_reference(spec, prompt, k_probe, known=reference.evidence)
    candidate = assess_candidate(spec, prompt, k_probe) if other else result.candidate
    noise = None if spec.noise is None else spec.noise.audit.bounds(spec.thresholds.alpha)
    evidence = PromptEvidence(
        reference_use=reference.use,
        reference_probe=reference.probe,
        candidate_use=candidate.use,
        candidate_probe=candidate.probe,
        selected=False,
        candidate_low=_low(candidate.evidence),
        elicitation_arms=elicitation_reaches(spec, prompt, k_probe),
        assisted_arms=assisted_reaches(spec, prompt, k_probe),
        untruncated_covered=covers_untruncated(spec),
        zeros=support_zeros(prompt.pair),
    )
    return PromptRecord(
        prompt_id=result.spec.id,
        evidence=evidence,
        reference=_samples(prompt.reference, reference.evidence, noise),
        candidate=_samples(prompt.candidate, candidate.evidence, noise),
        family=result.spec.family,
        split=result.spec.split,
    )


def covers_untruncated(spec: AnalysisSpec) -> bool:
    """Whether the reference is sampled at temperature 1 without truncation, the arm that always counts."""
    return any(stream.covers_untruncated for stream in (spec.streams[REFERENCE], *spec.elicitation))


def regime_of(record: PromptRecord) -> Regime:
    """The regime of a prompt."""
    return classify_regime(record.evidence)


def printed_successes(results: Sequence[PromptResult], stream: str) -> list[Estimate]:
    """The pilot's rate of one side of every prompt, with its printed interval."""
    return [result.printed[stream].success for result in results if stream in result.printed]


def printed_gain(result: PromptResult, audit: Audit | None = None) -> Estimate:
    """The gain of one prompt with its printed interval.

    Args:
        result: The prompt.
        audit: Of the verifier, where the printed evidence allows for one.

    Raises:
        ValueError: the analysis has no candidate.
    """
    prompt = result.observed
    if prompt.candidate is None:
        raise ValueError("a gain needs a candidate")
    reference = _samples(prompt.reference, result.printed[REFERENCE])
    candidate = _samples(prompt.candidate, result.printed[CANDIDATE])
    return gain_estimate(reference, candidate, confidence=CONFIDENCE, audit=audit)


def _low(evidence: SideEvidence) -> float:
    return min(math.exp(evidence.log_lower), evidence.upper)


def _samples(side: SideObservations, evidence: SideEvidence, noise: NoiseBounds | None = None) -> SideSamples:
    return SideSamples(
        pilot=side.pilot,
        pilot_unusable=side.pilot_unusable,
        successes=side.successes,
        samples=side.n,
        unusable=side.outcomes["unparsed"] + side.outcomes["truncated"],
        low=_low(evidence),
        high=evidence.upper,
        noise=noise,
    )


def support_zeros(pair: ScoredPair | None) -> SupportZeros | None:
    """Structural zeros among the candidate's successes; None where nothing was scored."""
    if pair is None:
        return None
    successes = pair.correct[pair.n_p :]
    causes = Counter(
        cause for cause, success in zip(pair.zero_cause, successes, strict=True) if success and cause
    )
    edge = causes.pop("edge", 0)
    return SupportZeros(successes=int(successes.sum()), causes=dict(causes), edge=edge)
