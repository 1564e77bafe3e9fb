"""Sampling completions of one prompt: inverse transform over the exact law, on a shared prefix."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import DynamicCache

from workers.engines.batch_memory import BatchSize
from workers.engines.causal_model import CausalModel, Prefix
from workers.engines.errors import EngineAborted
from workers.engines.policy import Policy, policy_log_probs
from workers.engines.prefix_cache import repeated, selected

FinishReason = Literal["eos", "stop", "length"]

# Dropping finished rows copies the cache once; a quarter of dead rows pays for that within a few steps.
_DEAD_SHARE = 0.25


@dataclass
class SampleBatch:
    """Completions of one prompt, in the order of their uniforms.

    Attributes:
        token_ids: Sampled ids of each, EOS included. Each of shape ``(length,)``.
        logprobs: Exact log-probability in nats of each sampled token under the policy. Each ``(length,)``.
        finish_reasons: What ended each.
        texts: Each completion's text.
    """

    token_ids: list[NDArray[np.int32]] = field(default_factory=list)
    logprobs: list[NDArray[np.float32]] = field(default_factory=list)
    finish_reasons: list[FinishReason] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)


def ending(model: CausalModel, token_ids: Sequence[int], policy: Policy) -> FinishReason | None:
    """What the last token of a completion does to it: the one rule sampling and enumeration share.

    EOS comes before a stop string, and both before the length limit.
    """
    if token_ids[-1] in model.eos_ids:
        return "eos"
    if policy.stop:
        text = model.text(token_ids)
        if any(stop in text for stop in policy.stop):
            return "stop"
    return "length" if len(token_ids) >= policy.max_new_tokens else None


def sample_completions(
    model: CausalModel,
    prompt_ids: Sequence[int],
    uniforms: NDArray[np.float64],
    policy: Policy,
    batch_size: int,
    should_stop: Callable[[], bool] | None = None,
    on_progress: Callable[[int], None] | None = None,
    memory: BatchSize | None = None,
) -> SampleBatch:
    """Draw one completion per row of uniforms, y ~ the model under the policy.

    A row's completion depends on its own uniforms only. `batch_size` changes the shape of the matrix products
    and so the last bits of the logits, which alters a token only if its uniform lies within that rounding
    of a boundary of the distribution function.

    Args:
        model: The sampler.
        prompt_ids: The rendered prompt.
        uniforms: In [0, 1), one per token. Shape ``(n, max_new_tokens)``.
        policy: The decoding policy.
        batch_size: Rows decoded together, at most; halved when memory runs out.
        should_stop: Asked at every token.
        on_progress: Told how many completions are finished, after each batch.
        memory: Remembers what fits, beyond this call; it then decides instead of `batch_size`.

    Raises:
        EngineAborted: if `should_stop` said so.
        PromptTooLong: if prompt and completion may exceed the context.
        ValueError: if the uniforms have another shape or leave [0, 1).
        torch.OutOfMemoryError: if a single row does not fit.
    """
    uniforms = np.asarray(uniforms, dtype=np.float64)
    if uniforms.ndim != 2 or uniforms.shape[1] != policy.max_new_tokens or batch_size < 1:
        raise ValueError("uniforms must have shape (n, max_new_tokens), and batch_size must be positive")
    if not ((uniforms >= 0) & (uniforms < 1)).all():
        raise ValueError("uniforms must lie in [0, 1)")
    model.check_room(len(prompt_ids), policy.max_new_tokens)
    batch, lo, fits = SampleBatch(), 0, memory or BatchSize(batch_size)
    prefix = model.read(prompt_ids) if len(uniforms) else None
    while prefix is not None and lo < len(uniforms):
        part = uniforms[lo : lo + fits.size]
        try:
            rows = _Rows(model, part, policy)
            _decode(model, prefix, rows, policy, should_stop)
        except torch.OutOfMemoryError:
            if len(part) == 1:
                raise
            fits.failed(len(part))
            continue
        fits.fitted(len(part))
        rows.append_to(batch)
        lo += len(part)
        if on_progress is not None:
            on_progress(lo)
    return batch


@torch.inference_mode()
def inverse_transform(log_probs: Tensor, uniforms: Tensor) -> Tensor:
    """The token whose slice of [0, 1) holds the uniform, tokens in id order.

    Args:
        log_probs: Normalised laws, `-inf` outside the support. Shape ``(b, v)``.
        uniforms: float64 in [0, 1). Shape ``(b,)``.

    Returns:
        Token ids, never of a token with probability zero. Shape ``(b,)``.
    """
    probs = log_probs.double().exp()
    cdf = probs.cumsum(dim=-1)
    # Strictly above: a uniform of 0 must skip leading tokens of probability zero. The largest double below 1
    # times the total rounds below the total, so a token is always found.
    token = torch.searchsorted(cdf, uniforms.unsqueeze(-1) * cdf[:, -1:], right=True).squeeze(-1)
    if bool((probs.gather(-1, token.unsqueeze(-1)) == 0).any()):
        # Parallel prefix sums on a GPU may step by an ulp across a token of probability zero.
        token = _nearest_possible(probs, token)
    return token


def _nearest_possible(probs: Tensor, token: Tensor) -> Tensor:
    width = probs.shape[-1]
    ids = torch.arange(width, device=probs.device).expand_as(probs)
    following = ids.masked_fill((probs == 0) | (ids < token.unsqueeze(-1)), width).amin(dim=-1)
    last = ids.masked_fill(probs == 0, -1).amax(dim=-1)
    return following.where(following < width, last)


class _Rows:
    """Completions under way, kept on the host: a step needs one transfer."""

    def __init__(self, model: CausalModel, uniforms: NDArray[np.float64], policy: Policy) -> None:
        count, limit = uniforms.shape
        self.uniforms = torch.from_numpy(uniforms).to(model.device)
        self._model = model
        self._policy = policy
        self._is_eos = np.zeros(model.vocabulary_size, dtype=bool)
        self._is_eos[[token for token in model.eos_ids if token < model.vocabulary_size]] = True
        self._ids = np.zeros((count, limit), dtype=np.int32)
        self._logprobs = np.zeros((count, limit), dtype=np.float32)
        self._lengths = np.zeros(count, dtype=np.int64)
        self._reasons: list[FinishReason | None] = [None] * count

    def record(
        self, step: int, rows: NDArray[np.int64], tokens: Tensor, logprobs: Tensor
    ) -> NDArray[np.bool_]:
        """Store one token of each row named; return which of them go on. Shape ``(len(rows),)``."""
        picked = tokens.cpu().numpy()
        self._ids[rows, step] = picked
        self._logprobs[rows, step] = logprobs.cpu().numpy()
        self._lengths[rows] = step + 1
        goes_on = np.ones(len(rows), dtype=bool)
        if self._policy.stop or step + 1 >= self._policy.max_new_tokens:
            suspects = np.arange(len(rows))
        else:
            suspects = np.flatnonzero(self._is_eos[picked])
        for i in suspects.tolist():
            row = int(rows[i])
            reason = ending(self._model, self._ids[row, : step + 1].tolist(), self._policy)
            self._reasons[row] = reason
            goes_on[i] = reason is None
        return goes_on

    def append_to(self, batch: SampleBatch) -> None:
        for ids, logprobs, length, reason in zip(
            self._ids, self._logprobs, self._lengths.tolist(), self._reasons, strict=True
        ):
            assert reason is not None
            batch.token_ids.append(ids[:length].copy())
            batch.logprobs.append(logprobs[:length].copy())
            batch.finish_reasons.append(reason)
            batch.texts.append(self._model.text(ids[:length].tolist()))


@torch.inference_mode()
def _decode(
    model: CausalModel, prefix: Prefix, rows: _Rows, policy: Policy, should_stop: Callable[[], bool] | None
) -> None:
    alive: NDArray[np.int64] = np.arange(len(rows.uniforms))
    # One row of law serves every first token, so it cannot depend on the batch.
    law = policy_log_probs(model.logits(prefix.hidden), policy).expand(len(alive), -1)
    cache: DynamicCache | None = None
    slots, width = alive, len(alive)  # where each live row stands in the batch, and its size
    for step in range(policy.max_new_tokens):
        if should_stop is not None and should_stop():
            raise EngineAborted("sampling was stopped")
        tokens = inverse_transform(law, rows.uniforms[torch.from_numpy(alive).to(model.device), step])
        logprobs = law.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
        goes_on = rows.record(step, alive, tokens, logprobs)
        if not goes_on.any():
            return
        going = torch.from_numpy(np.flatnonzero(goes_on)).to(model.device)
        alive, slots, tokens = alive[goes_on], slots[goes_on], tokens[going]
        if cache is None:
            cache = repeated(prefix.cache, len(alive), policy.max_new_tokens - 1)
            width, slots = len(alive), np.arange(len(alive))
        elif len(alive) <= (1 - _DEAD_SHARE) * width:
            cache = selected(cache, torch.from_numpy(slots).to(model.device))
            width, slots = len(alive), np.arange(len(alive))
        law = policy_log_probs(model.logits(_step(model, cache, tokens, slots, width)), policy)


def _step(
    model: CausalModel, cache: DynamicCache, tokens: Tensor, slots: NDArray[np.int64], width: int
) -> Tensor:
    """Feed one token per live row; finished rows not yet dropped get token 0, and their output is dropped."""
    if len(slots) == width:
        return model.extend(cache, tokens.unsqueeze(-1))[:, -1]
    where = torch.from_numpy(slots).to(model.device)
    fed = torch.zeros((width, 1), dtype=torch.long, device=model.device)
    fed[where, 0] = tokens
    return model.extend(cache, fed)[where, -1]
