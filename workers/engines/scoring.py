"""Scoring sampled token ids under two models at once: log-probabilities, per-token KL and entropy.

Per-token terms are the Rao-Blackwellised estimator of KL(sampler‖scorer) of Amini et al. (arXiv 2504.10637):
its expectation over y ~ sampler is the sequence KL.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workers.engines.causal_model import CausalModel
from workers.engines.errors import EngineAborted
from workers.engines.policy import Policy
from workers.engines.prefix_cache import repeated
from workers.engines.prefix_memory import Prefix
from workers.engines.token_scores import position_numbers

_CPU_TOKENS: Final = 1024
"""Read together on a CPU, whose products run no faster beyond."""
_GPU_TOKENS: Final = (4_096, 65_536)
"""Read together on a GPU, at least and at most."""
_GPU_BYTES: Final = 1 << 30
"""What a layer writes there for the tokens read together: the narrower the model, the more of them it takes
until operations last longer than it takes to launch them."""


@dataclass(frozen=True)
class ScoreBatch:
    """One row per completion; the columns of the `scores` artefact, in nats.

    Attributes:
        logprob: log scorer(y) under the policy, the sum of its tokens; `-inf` is legal. Shape ``(n,)``.
        own_logprob: log sampler(y) under the policy, recomputed in this pass. Shape ``(n,)``.
        token_logprobs: The scorer's, per token. Each ``(length,)``.
        token_kl: KL(sampler_t‖scorer_t) over the whole vocabulary at each prefix of y; `+inf` where the
            sampler has mass outside the scorer's support. Each ``(length,)``.
        kl: Sum of `token_kl`, added in float64. Shape ``(n,)``.
        entropy: Sum of the sampler's token entropies. Shape ``(n,)``.
        zero_cause: Why `logprob` is `-inf`: the first cause that is not `edge`, `edge` if there is no other,
            empty if it is finite.
        max_token_diff: Largest |recomputed - stored| own token log-probability. Shape ``(n,)``.
    """

    logprob: NDArray[np.float64]
    own_logprob: NDArray[np.float64]
    token_logprobs: list[NDArray[np.float32]]
    token_kl: list[NDArray[np.float32]]
    kl: NDArray[np.float64]
    entropy: NDArray[np.float64]
    zero_cause: list[str]
    max_token_diff: NDArray[np.float32]


def score_pair(
    sampler: CausalModel,
    scorer: CausalModel,
    prompt_ids: Sequence[int],
    token_ids: Sequence[NDArray[np.int32]],
    policy: Policy,
    stored_logprobs: Sequence[NDArray[np.float32]],
    *,
    chunk: int | None = None,
    max_batch_tokens: int | None = None,
    keeps_states: bool = False,
    drawn_here: bool = True,
    should_stop: Callable[[], bool] | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> ScoreBatch:
    """Score completions the sampler drew, under both models, by token id.

    The two must share a tokenizer; the caller checks. Equal completions are computed once, and so is the
    model if both sides are one law: then every KL is exactly zero.

    Args:
        sampler: The model that drew the completions, y ~ sampler under `policy`.
        scorer: The model that judges them.
        prompt_ids: The rendered prompt.
        token_ids: Sampled ids of each completion, EOS included. Each of shape ``(length,)``.
        policy: The decoding policy of both sides.
        stored_logprobs: Own token log-probabilities recorded at sampling, aligned with `token_ids`.
        chunk: Positions whose full-vocabulary rows exist at a time, at most; by default what keeps them at
            24 MB a model, whatever the lengths and the vocabulary.
        max_batch_tokens: Completion tokens, padding included, read together; halved when memory runs out. By
            default 1,024 on a CPU, and on a GPU as many as a layer writes a gigabyte for.
        keeps_states: Whether other models score these completions too, so that the sampler's hidden states
            are kept in its `states`.
        drawn_here: Whether the sampler drew the completions from this prompt under this policy: then no token
            of theirs is outside its law by rounding. Otherwise `own_logprob` may be `-inf`.
        should_stop: Asked between batches.
        on_progress: Told how many completions are scored, after each batch.

    Raises:
        EngineAborted: if `should_stop` said so.
        PromptTooLong: if a completion does not fit either context.
        ValueError: if a completion is empty, not aligned with its log-probabilities, or holds a token that
            the sampler does not have.
        torch.OutOfMemoryError: if a single completion does not fit.
    """
    completions = [np.asarray(ids, dtype=np.int64) for ids in token_ids]
    _check(sampler, completions, stored_logprobs)
    places: dict[bytes, list[int]] = {}
    for index, ids in enumerate(completions):
        places.setdefault(ids.tobytes(), []).append(index)
    distinct = sorted((completions[rows[0]] for rows in places.values()), key=len)
    scores: list[_TokenScores | None] = [None] * len(completions)
    done = 0
    if distinct:
        pair = _Pair(sampler, scorer, prompt_ids, len(distinct[-1]), policy, chunk, keeps_states, drawn_here)
        budget = max_batch_tokens or min(_batch_tokens(model) for model in (sampler, scorer))
        for batch in _batches(distinct, budget, pair, should_stop):
            for ids, score in batch:
                rows = places[ids.tobytes()]
                for index in rows:
                    scores[index] = score
                done += len(rows)
            if on_progress is not None:
                on_progress(done)
    return _gathered([score for score in scores if score is not None], stored_logprobs)


@dataclass(frozen=True)
class _TokenScores:
    own: NDArray[np.float64]
    scorer: NDArray[np.float64]
    kl: NDArray[np.float64]
    entropy: NDArray[np.float64]
    zero_cause: str


class _Pair:
    """Both models with the prompt read once."""

    def __init__(
        self,
        sampler: CausalModel,
        scorer: CausalModel,
        prompt_ids: Sequence[int],
        longest: int,
        policy: Policy,
        chunk: int | None,
        keeps_states: bool,
        drawn_here: bool,
    ) -> None:
        self._models = (sampler,) if sampler.is_same_law(scorer) else (sampler, scorer)
        for model in self._models:
            model.check_room(len(prompt_ids), longest)
        self._prefixes = [model.read(prompt_ids) for model in self._models]
        self._policy = policy
        self._chunk = chunk
        self._keeps_states = keeps_states
        self._drawn_here = drawn_here
        self._prompt = np.array(prompt_ids, dtype=np.int64).tobytes()

    @torch.inference_mode()
    def score(self, rows: Sequence[NDArray[np.int64]]) -> list[_TokenScores]:
        """Score a batch of completions, in order."""
        lengths = [len(ids) for ids in rows]
        padded = np.zeros((len(rows), max(lengths)), dtype=np.int64)
        for row, ids in zip(padded, rows, strict=True):
            row[: len(ids)] = ids
        inside = np.arange(padded.shape[1]) < np.array(lengths)[:, None]
        hidden = [self._states(place, padded, inside) for place in range(len(self._models))]
        tokens = torch.from_numpy(padded[inside])
        sampler, scorer = self._models[0], self._models[-1]
        found = position_numbers(
            sampler, scorer, (hidden[0], hidden[-1]), tokens, self._policy, self._chunk, self._drawn_here
        )
        table, causes = found.table.numpy(), found.causes
        ends = np.cumsum(lengths)
        return [
            self._row(ids, table[:, end - len(ids) : end], causes[end - len(ids) : end])
            for ids, end in zip(rows, ends.tolist(), strict=True)
        ]

    def _states(self, place: int, padded: NDArray[np.int64], inside: NDArray[np.bool_]) -> Tensor:
        """Hidden states of a model that predict each token; the sampler's are kept for other scorers."""
        model, prefix = self._models[place], self._prefixes[place]
        if place or not self._keeps_states:
            return _hidden(model, prefix, padded, inside)
        lengths = inside.sum(axis=1).tobytes()
        key = hashlib.sha256(b"".join((self._prompt, b"|", lengths, b"|", padded.tobytes()))).digest()
        if (states := model.states.get(key)) is None:
            states = _hidden(model, prefix, padded, inside)
            model.states.keep(key, states)
        return states

    def _row(self, ids: NDArray[np.int64], table: NDArray[np.float64], causes: list[str]) -> _TokenScores:
        own, judged, divergence, entropy = table.copy()
        unknown = np.flatnonzero(ids >= self._models[-1].embedded_tokens)
        if len(unknown):
            # What follows a token the scorer cannot even read has probability zero with it.
            judged[unknown[0] :] = -np.inf
            divergence[unknown[0] :] = np.inf
        found = [cause for cause in causes if cause]
        firm = [cause for cause in found if cause != "edge"]
        return _TokenScores(own, judged, divergence, entropy, (firm or found or [""])[0])


def _hidden(
    model: CausalModel, prefix: Prefix, padded: NDArray[np.int64], inside: NDArray[np.bool_]
) -> Tensor:
    """Hidden states that predict each completion token. Shape ``(number of tokens, h)``.

    Padding stands on the right, where a causal model cannot see it.
    """
    count, width = padded.shape
    hidden = prefix.hidden.unsqueeze(0).expand(count, 1, -1)
    if width > 1:
        readable = np.where(padded < model.embedded_tokens, padded, 0)
        inputs = torch.from_numpy(readable[:, :-1]).to(model.device)
        rest = model.extend(repeated(prefix.cache, count, width - 1, is_last=True), inputs)
        hidden = torch.cat([hidden, rest], dim=1)
    return hidden[torch.from_numpy(inside).to(model.device)]


def _batches(
    distinct: list[NDArray[np.int64]],
    max_batch_tokens: int,
    pair: _Pair,
    should_stop: Callable[[], bool] | None,
) -> Iterator[list[tuple[NDArray[np.int64], _TokenScores]]]:
    lo, budget = 0, max_batch_tokens
    while lo < len(distinct):
        if should_stop is not None and should_stop():
            raise EngineAborted("scoring was stopped")
        hi = lo + 1
        # Sorted by length, so the next row is the longest of its batch.
        while hi < len(distinct) and (hi + 1 - lo) * len(distinct[hi]) <= budget:
            hi += 1
        rows = distinct[lo:hi]
        try:
            scored = pair.score(rows)
        except torch.OutOfMemoryError:
            if len(rows) == 1:
                raise
            budget = max(1, len(rows) * len(rows[-1]) // 2)
            continue
        yield list(zip(rows, scored, strict=True))
        lo = hi


def _batch_tokens(model: CausalModel) -> int:
    if model.device.type != "cuda":
        return _CPU_TOKENS
    width = model.head.shape[1]
    inner = getattr(model.model.config, "intermediate_size", None) or 4 * width
    inner = inner if isinstance(inner, int) else max(inner)  # some families name one for each layer
    least, most = _GPU_TOKENS
    # Queries, keys, values and what attention mixes are some four widths, gate and up two inner ones.
    return max(least, min(most, _GPU_BYTES // (model.dtype.itemsize * (4 * width + 2 * inner))))


def _check(
    sampler: CausalModel, completions: list[NDArray[np.int64]], stored_logprobs: Sequence[NDArray[np.float32]]
) -> None:
    if len(completions) != len(stored_logprobs):
        raise ValueError("every completion needs its stored log-probabilities")
    for ids, stored in zip(completions, stored_logprobs, strict=True):
        if ids.ndim != 1 or ids.size == 0 or ids.shape != np.shape(stored):
            raise ValueError("a completion must be a non-empty vector aligned with its log-probabilities")
        if ids.min() < 0 or ids.max() >= sampler.vocabulary_size:
            raise ValueError("a completion holds a token that the sampler does not have")


def _gathered(rows: list[_TokenScores], stored_logprobs: Sequence[NDArray[np.float32]]) -> ScoreBatch:
    drift = [
        np.abs(row.own - np.asarray(stored, dtype=np.float64)).max()
        for row, stored in zip(rows, stored_logprobs, strict=True)
    ]
    return ScoreBatch(
        logprob=np.array([row.scorer.sum() for row in rows], dtype=np.float64),
        own_logprob=np.array([row.own.sum() for row in rows], dtype=np.float64),
        token_logprobs=[row.scorer.astype(np.float32) for row in rows],
        token_kl=[row.kl.astype(np.float32) for row in rows],
        kl=np.array([row.kl.sum() for row in rows], dtype=np.float64),
        entropy=np.array([row.entropy.sum() for row in rows], dtype=np.float64),
        zero_cause=[row.zero_cause for row in rows],
        max_token_diff=np.array(drift, dtype=np.float32),
    )
