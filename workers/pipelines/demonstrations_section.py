"""What all models say of the demonstrations, and the teacher of the sides: the result's `demonstrations`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workers.estimators.bootstrap_weights import BootstrapWeights
from workers.estimators.dataset import PromptMean, mean_over_prompts
from workers.estimators.demonstrations import (
    NO_TEACHER,
    ZERO,
    FloatArray,
    IntArray,
    ScoredDemonstrations,
    coverage,
    cross_entropy,
    cross_entropy_change,
    cross_entropy_per_token,
    kl_from_teacher,
    typicality,
)
from workers.estimators.difference import difference
from workers.estimators.estimate import Estimate
from workers.estimators.kl import KLResult
from workers.estimators.resampling import bounded_interval
from workers.pipelines.committed import Committed
from workers.pipelines.document import Json, estimate_json, mean_json
from workers.pipelines.generators import generator
from workers.pipelines.prompt_result import CONFIDENCE
from workers.pipelines.spec import CANDIDATE, REFERENCE, TEACHER, AnalysisSpec, PromptSpec
from workers.pipelines.streams import DEMONSTRATIONS
from workers.pipelines.teacher import kl_to_teacher, log_teacher

ATYPICAL = 0.05
"""A demonstration at or below this p-value is one that the reference seldom writes."""

UNSCORED = (
    "the candidate did not score the reference's token ids: tokenizers differ, or the analysis ended early"
)


@dataclass(frozen=True, slots=True)
class PromptDemonstrations:
    """The demonstrations of one prompt, scored.

    Attributes:
        prompt: The prompt.
        indices: Which of its demonstrations were read; an analysis that ended early may lack some.
        reference: Under the reference.
        candidate: Under the candidate; None where it could not score them.
        typicality: Of each, under the reference.
        to_teacher: KL(p||pi_D) and KL(q||pi_D) over the sides' own samples, by side.
    """

    prompt: PromptSpec
    indices: tuple[int, ...]
    reference: ScoredDemonstrations
    candidate: ScoredDemonstrations | None
    typicality: tuple[Estimate, ...]
    to_teacher: Mapping[str, KLResult]


def read_demonstrations(
    spec: AnalysisSpec,
    committed: Committed,
    kept: Sequence[int],
    weights: BootstrapWeights,
    *,
    missing: str,
) -> list[PromptDemonstrations]:
    """What the models say of the demonstrations of some prompts.

    Args:
        spec: The analysis.
        committed: All its rows.
        kept: Indices of the prompts.
        weights: Of the Bayesian bootstrap.
        missing: Why scores of a teacher would be missing.
    """
    return [_read(spec, spec.prompts[index], committed, weights, missing) for index in kept]


def _read(
    spec: AnalysisSpec, prompt: PromptSpec, committed: Committed, weights: BootstrapWeights, missing: str
) -> PromptDemonstrations:
    samples, mine = committed.samples, pc.field("prompt_index") == prompt.index
    given = samples.filter(mine & (pc.field("stream") == DEMONSTRATIONS))
    own = samples.filter(mine & (pc.field("stream") == REFERENCE) & (pc.field("finish_reason") == "eos"))
    log_p, tokens = _log_probs(given)
    own_log_p, own_tokens = _log_probs(own)
    indices = given["index"].to_pylist()
    if spec.is_taught:
        teacher, unknown = log_teacher(committed.by_teacher, prompt.index, DEMONSTRATIONS, indices), missing
    else:
        teacher, unknown = _given(prompt, indices), NO_TEACHER
    seen = committed.scores.filter(
        mine & (pc.field("stream") == DEMONSTRATIONS) & (pc.field("scorer") == CANDIDATE)
    )
    candidate = None
    if seen.num_rows == given.num_rows:
        log_q = np.asarray(seen["logprob"].to_numpy(), dtype=np.float64)
        candidate = ScoredDemonstrations(log_q, tokens, teacher, unknown)
    return PromptDemonstrations(
        prompt,
        tuple(indices),
        ScoredDemonstrations(log_p, tokens, teacher, unknown),
        candidate,
        tuple(
            typicality(-float(one), int(length), -own_log_p, own_tokens)
            for one, length in zip(log_p, tokens, strict=True)
        ),
        kl_to_teacher(spec, committed.by_teacher, prompt.index, weights, missing),
    )


def _log_probs(samples: pa.Table) -> tuple[FloatArray, IntArray]:
    rows = samples["logprobs"].to_pylist()
    sums = np.array([np.sum(row, dtype=np.float64) for row in rows], dtype=np.float64)
    return sums, np.array([len(row) for row in rows], dtype=np.int64)


def _given(prompt: PromptSpec, indices: Sequence[int]) -> FloatArray | None:
    """Log pi_D of each demonstration as the request has it, nats; None unless it has all."""
    known = [prompt.demonstrations[index].logprob for index in indices]
    if any(one is None for one in known):
        return None
    return np.array(known, dtype=np.float64)


def demonstration_rows(found: PromptDemonstrations) -> Json:
    """What a prompt's row has of its demonstrations, and of the sides' distance from their law."""
    count = len(found.typicality)
    prices = {
        REFERENCE: _prices(found.reference.log_prob),
        CANDIDATE: [_unknown(UNSCORED)] * count
        if found.candidate is None
        else _prices(found.candidate.log_prob),
        TEACHER: [_unknown(found.reference.unknown)] * count
        if found.reference.log_teacher is None
        else _prices(found.reference.log_teacher),
    }
    rows = [
        {
            "index": index,
            "tokens": int(found.reference.tokens[place]),
            "price": {model: estimate_json(own[place]) for model, own in prices.items()},
            "typicality": estimate_json(found.typicality[place]),
        }
        for place, index in enumerate(found.indices)
    ]
    nearness = {side: estimate_json(kl.rb) for side, kl in found.to_teacher.items()}
    return {"demonstrations": rows, "kl_to_teacher": nearness}


def _prices(log_prob: FloatArray) -> list[Estimate]:
    return [
        Estimate(value=-float(one), n=1, unit="nats") if np.isfinite(one) else _unknown(ZERO)
        for one in log_prob
    ]


def _unknown(reason: str) -> Estimate:
    return Estimate.undefined(reason, "nats")


def demonstrations_section(spec: AnalysisSpec, found: Sequence[PromptDemonstrations]) -> Json:
    """The result document's `demonstrations`: means over prompts of what their demonstrations show."""
    families = [one.prompt.family or f"\0{one.prompt.id}" for one in found]

    def mean(estimates: Sequence[Estimate], least: float = -np.inf, most: float = np.inf) -> Json:
        return mean_json(mean_over_prompts(estimates, CONFIDENCE, least=least, most=most, families=families))

    def share(estimates: Sequence[Estimate]) -> Json:
        return mean_json(_mean_share(estimates, families, generator(spec, "demonstrations")))

    def both(
        figure: Callable[[ScoredDemonstrations], Estimate], unit: str, over: Callable[..., Json] = mean
    ) -> Json:
        missing = Estimate.undefined(UNSCORED, unit)
        return {
            REFERENCE: over([figure(one.reference) for one in found]),
            CANDIDATE: over([missing if one.candidate is None else figure(one.candidate) for one in found]),
        }

    prices = partial(mean, least=0.0)

    changes = [
        _unknown(UNSCORED) if one.candidate is None else cross_entropy_change(one.reference, one.candidate)
        for one in found
    ]
    return {
        "count": sum(one.reference.log_prob.size for one in found),
        "cross_entropy": {
            **both(cross_entropy, "nats", prices),
            "change": mean(changes),
        },
        "cross_entropy_per_token": both(cross_entropy_per_token, "nats/token", prices),
        "atypical_share": share([_atypical(one.typicality) for one in found]),
        "kl_from_teacher": both(kl_from_teacher, "nats"),
        "kl_to_teacher": {
            **{
                side: mean([one.to_teacher[side].rb for one in found], 0.0) for side in (REFERENCE, CANDIDATE)
            },
            "change": mean([_approach(one) for one in found]),
        },
        "kl_to_teacher_k1": {
            side: mean([one.to_teacher[side].k1 for one in found]) for side in (REFERENCE, CANDIDATE)
        },
        "coverage": [
            {"n": n, **both(partial(coverage, least=n), "probability", share)}
            for n in sorted({spec.budget.k_use, spec.budget.k_probe})
        ],
    }


def _mean_share(
    estimates: Sequence[Estimate], families: Sequence[str], rng: np.random.Generator
) -> PromptMean:
    """A mean of shares, whose interval stays wide where few prompts all show none, or all."""
    mean = mean_over_prompts(estimates, CONFIDENCE, least=0.0, most=1.0, families=families)
    known = [
        (one.value, family) for one, family in zip(estimates, families, strict=True) if one.value is not None
    ]
    if len(known) < 2:
        return mean
    values, labels = zip(*known, strict=True)
    low, high = bounded_interval(values, rng, confidence=CONFIDENCE, families=labels)
    # Where all are equal they show no spread, which is no certainty.
    error = mean.population.std_error or None
    return mean._replace(population=replace(mean.population, ci_low=low, ci_high=high, std_error=error))


def _approach(found: PromptDemonstrations) -> Estimate:
    """KL(q||pi_D) - KL(p||pi_D) of one prompt: below zero where training came nearer."""
    return difference(found.to_teacher[CANDIDATE].rb, found.to_teacher[REFERENCE].rb)


def _atypical(values: Sequence[Estimate]) -> Estimate:
    """The share of a prompt's demonstrations that the reference seldom writes."""
    known = [one.value for one in values if one.value is not None]
    if not known:
        return Estimate.undefined("no demonstration has enough samples of matched length", "share")
    return Estimate(value=sum(one <= ATYPICAL for one in known) / len(known), n=len(known), unit="share")
