"""Demonstrations of an analysis: token ids behind the rendered prompt, and what both models say of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workers.engines.causal_model import CausalModel
from workers.engines.scoring import score_pair
from workers.errors import AnalysisFault
from workers.estimators.dataset import mean_over_prompts
from workers.estimators.demonstrations import (
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
from workers.estimators.estimate import Estimate
from workers.pipelines.document import Json, estimate_json, mean_json
from workers.pipelines.prompt_result import CONFIDENCE
from workers.pipelines.sample import key_of, render
from workers.pipelines.shards import Item
from workers.pipelines.spec import CANDIDATE, REFERENCE, AnalysisSpec, PromptSpec
from workers.pipelines.streams import DEMONSTRATIONS
from workers.pipelines.tables import SAMPLES

ATYPICAL = 0.05
"""A demonstration at or below this p-value is one that the reference seldom writes."""

UNSCORED = (
    "the candidate did not score the reference's token ids: tokenizers differ, or the analysis ended early"
)
NO_TEACHER_MODEL = (
    "KL(q||pi_D) is a mean over the candidate's own samples, and only the demonstrations' probabilities "
    "under their law can be given"
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
    """

    prompt: PromptSpec
    indices: tuple[int, ...]
    reference: ScoredDemonstrations
    candidate: ScoredDemonstrations | None
    typicality: tuple[Estimate, ...]


def demonstration_ids(model: CausalModel, prompt: PromptSpec, text: str) -> list[int]:
    """Token ids of a demonstration as the model would write it behind its prompt, EOS last.

    The text is tokenised after the prompt's text where the prompt's own ids come first in that, and by itself
    otherwise: what was sampled follows the rendered prompt's ids, so that they must not change.
    """
    tokenizer = model.tokenizer
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    if prompt.text is not None:
        before, together = render(model, prompt), tokenizer(prompt.text + text)["input_ids"]
        if together[: len(before)] == before and tokenizer.eos_token_id not in together[len(before) :]:
            ids = together[len(before) :]
    end = tokenizer.eos_token_id
    return [*ids, end if end in model.eos_ids else min(model.eos_ids)]


def demonstration_items(
    spec: AnalysisSpec,
    items: Sequence[Item],
    model: CausalModel,
    *,
    should_stop: Callable[[], bool],
    on_progress: Callable[[int], None],
) -> pa.Table:
    """The demonstrations of some items as rows of samples, their log-probabilities the reference's.

    Raises:
        AnalysisFault: one is longer than `max_new_tokens`, or has a token that the model does not.
        EngineAborted: `should_stop` said so.
    """
    columns: dict[str, list[object]] = {name: [] for name in SAMPLES.names}
    policy = spec.streams[DEMONSTRATIONS].policy
    done = 0
    for prompt_index, low, high in items:
        prompt = spec.prompts[prompt_index]
        prompt_ids = render(model, prompt)
        texts = [one.text for one in prompt.demonstrations[low:high]]
        ids = [np.asarray(demonstration_ids(model, prompt, text), dtype=np.int32) for text in texts]
        for number, tokens in enumerate(ids, low):
            _require_writable(model, prompt, number, tokens, policy.max_new_tokens)
        nothing = [np.zeros(len(tokens), dtype=np.float32) for tokens in ids]
        scored = score_pair(model, model, prompt_ids, ids, policy, nothing, should_stop=should_stop)
        columns["prompt_index"] += [prompt_index] * len(ids)
        columns["prompt_id"] += [prompt.id] * len(ids)
        columns["stream"] += [DEMONSTRATIONS] * len(ids)
        columns["stream_key"] += [key_of(spec, DEMONSTRATIONS, prompt_ids, model)] * len(ids)
        columns["index"] += range(low, high)
        columns["token_ids"] += ids
        columns["logprobs"] += scored.token_logprobs
        columns["finish_reason"] += ["eos"] * len(ids)
        columns["text"] += texts
        done += len(ids)
        on_progress(done)
    return pa.table(columns, schema=SAMPLES)


def _require_writable(
    model: CausalModel, prompt: PromptSpec, number: int, tokens: NDArray[np.int32], most: int
) -> None:
    where = f"/prompts/inline/{prompt.index}/demonstrations/{number}"
    if tokens.size > most:
        raise AnalysisFault(
            "demonstration_too_long",
            f"demonstration {number} of prompt {prompt.id!r} has {tokens.size} tokens with its EOS, and "
            f"max_new_tokens is {most}: no sample could be that long. Raise max_new_tokens or shorten it",
            where,
        )
    if int(tokens.max()) >= model.vocabulary_size:
        raise AnalysisFault(
            "demonstration_unwritable",
            f"demonstration {number} of prompt {prompt.id!r} has a token that the reference has no logit for",
            where,
        )


def read_demonstrations(
    spec: AnalysisSpec, samples: pa.Table, scores: pa.Table, kept: Sequence[int]
) -> list[PromptDemonstrations]:
    """What both models say of the demonstrations of some prompts.

    Args:
        spec: The analysis.
        samples: All samples, sorted by stream, prompt and index.
        scores: All scores, likewise.
        kept: Indices of the prompts.
    """
    return [_read(spec.prompts[index], samples, scores) for index in kept]


def _read(prompt: PromptSpec, samples: pa.Table, scores: pa.Table) -> PromptDemonstrations:
    mine = pc.field("prompt_index") == prompt.index
    given = samples.filter(mine & (pc.field("stream") == DEMONSTRATIONS))
    own = samples.filter(mine & (pc.field("stream") == REFERENCE) & (pc.field("finish_reason") == "eos"))
    log_p, tokens = _log_probs(given)
    own_log_p, own_tokens = _log_probs(own)
    indices = given["index"].to_pylist()
    teacher = _teacher(prompt, indices)
    seen = scores.filter(mine & (pc.field("stream") == DEMONSTRATIONS) & (pc.field("scorer") == CANDIDATE))
    candidate = None
    if seen.num_rows == given.num_rows:
        log_q = np.asarray(seen["logprob"].to_numpy(), dtype=np.float64)
        candidate = ScoredDemonstrations(log_q, tokens, teacher)
    return PromptDemonstrations(
        prompt,
        tuple(indices),
        ScoredDemonstrations(log_p, tokens, teacher),
        candidate,
        tuple(
            typicality(-float(one), int(length), -own_log_p, own_tokens)
            for one, length in zip(log_p, tokens, strict=True)
        ),
    )


def _log_probs(samples: pa.Table) -> tuple[FloatArray, IntArray]:
    rows = samples["logprobs"].to_pylist()
    sums = np.array([np.sum(row, dtype=np.float64) for row in rows], dtype=np.float64)
    return sums, np.array([len(row) for row in rows], dtype=np.int64)


def _teacher(prompt: PromptSpec, indices: Sequence[int]) -> FloatArray | None:
    known = [prompt.demonstrations[index].logprob for index in indices]
    if any(one is None for one in known):
        return None
    return np.array(known, dtype=np.float64)


def demonstration_rows(found: PromptDemonstrations) -> list[Json]:
    """The demonstrations of a prompt, as its row has them."""
    prices = [_prices(found.reference), _prices(found.candidate, len(found.typicality))]
    return [
        {
            "index": index,
            "tokens": int(found.reference.tokens[place]),
            "price": {REFERENCE: estimate_json(prices[0][place]), CANDIDATE: estimate_json(prices[1][place])},
            "typicality": estimate_json(found.typicality[place]),
        }
        for place, index in enumerate(found.indices)
    ]


def _prices(scored: ScoredDemonstrations | None, count: int = 0) -> list[Estimate]:
    if scored is None:
        return [Estimate.undefined(UNSCORED, "nats")] * count
    return [Estimate(value=-float(one), n=1, unit="nats") for one in scored.log_prob]


def demonstrations_section(spec: AnalysisSpec, found: Sequence[PromptDemonstrations]) -> Json:
    """The result document's `demonstrations`: means over prompts of what their demonstrations show."""
    families = [one.prompt.family or f"\0{one.prompt.id}" for one in found]

    def mean(estimates: Sequence[Estimate], least: float = -np.inf, most: float = np.inf) -> Json:
        return mean_json(mean_over_prompts(estimates, CONFIDENCE, least=least, most=most, families=families))

    def both(figure: Callable[[ScoredDemonstrations], Estimate], unit: str, **ends: float) -> Json:
        missing = Estimate.undefined(UNSCORED, unit)
        return {
            REFERENCE: mean([figure(one.reference) for one in found], **ends),
            CANDIDATE: mean(
                [missing if one.candidate is None else figure(one.candidate) for one in found], **ends
            ),
        }

    changes = [
        Estimate.undefined(UNSCORED, "nats")
        if one.candidate is None
        else cross_entropy_change(one.reference, one.candidate)
        for one in found
    ]
    return {
        "count": sum(one.reference.log_prob.size for one in found),
        "cross_entropy": {
            **both(cross_entropy, "nats", least=0.0),
            "change": mean(changes),
        },
        "cross_entropy_per_token": both(cross_entropy_per_token, "nats/token", least=0.0),
        "atypical_share": mean([_atypical(one.typicality) for one in found], 0.0, 1.0),
        "kl_from_teacher": both(kl_from_teacher, "nats"),
        "kl_to_teacher": estimate_json(Estimate.undefined(NO_TEACHER_MODEL, "nats")),
        "coverage": [
            {"n": n, **both(partial(coverage, least=n), "probability", least=0.0, most=1.0)}
            for n in sorted({spec.budget.k_use, spec.budget.k_probe})
        ],
    }


def _atypical(values: Sequence[Estimate]) -> Estimate:
    """The share of a prompt's demonstrations that the reference seldom writes."""
    known = [one.value for one in values if one.value is not None]
    if not known:
        return Estimate.undefined("no demonstration has enough samples of matched length", "share")
    return Estimate(value=sum(one <= ATYPICAL for one in known) / len(known), n=len(known), unit="share")
