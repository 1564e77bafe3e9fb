"""Sampling completions: inverse transform over the exact law, on prompts that are read once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import DynamicCache

from workers.engines.batch_memory import BatchSize
from workers.engines.causal_model import CausalModel
from workers.engines.completions import Completions, SampleBatch
from workers.engines.drawing import draw, draw_from_one
from workers.engines.errors import EngineAborted
from workers.engines.grid_decoding import GridDecoder
from workers.engines.policy import Policy, policy_log_probs
from workers.engines.prefix_cache import repeated, selected
from workers.engines.prefix_memory import Prefix

# Dropping finished rows copies the cache once; a quarter of dead rows pays for that within a few steps.
_DEAD_SHARE = 0.25


@dataclass(frozen=True)
class Wanted:
    """Completions of one prompt that are wanted.

    Attributes:
        prompt_ids: The rendered prompt.
        uniforms: In [0, 1), one per token. Shape ``(n, max_new_tokens)``.
    """

    prompt_ids: Sequence[int]
    uniforms: NDArray[np.float64]


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
    """Draw one completion per row of uniforms; as `sample_prompts`, of a single prompt."""
    wanted = [Wanted(prompt_ids, uniforms)]
    return sample_prompts(model, wanted, policy, batch_size, should_stop, on_progress, memory)[0]


def sample_prompts(
    model: CausalModel,
    wanted: Sequence[Wanted],
    policy: Policy,
    batch_size: int,
    should_stop: Callable[[], bool] | None = None,
    on_progress: Callable[[int], None] | None = None,
    memory: BatchSize | None = None,
) -> list[SampleBatch]:
    """Draw one completion per row of uniforms, y ~ the model under the policy, for several prompts.

    A row's completion depends on its own uniforms only. What is decoded beside it changes the shape of the
    matrix products and so the last bits of the logits, which alters a token only if its uniform lies within
    that rounding of a boundary of the distribution function.

    Args:
        model: The sampler.
        wanted: Prompts and their uniforms.
        policy: The decoding policy.
        batch_size: Rows decoded together, at most; halved when memory runs out.
        should_stop: Asked at every token.
        on_progress: Told how many completions are finished.
        memory: Remembers what fits, beyond this call; it then decides instead of `batch_size`.

    Returns:
        A batch for each prompt.

    Raises:
        EngineAborted: if `should_stop` said so.
        PromptTooLong: if a prompt and its completion may exceed the context.
        ValueError: if uniforms have another shape or leave [0, 1).
        torch.OutOfMemoryError: if a single row does not fit.
    """
    draws = [np.asarray(each.uniforms, dtype=np.float64) for each in wanted]
    for each, uniforms in zip(wanted, draws, strict=True):
        if uniforms.ndim != 2 or uniforms.shape[1] != policy.max_new_tokens or batch_size < 1:
            raise ValueError("uniforms must have shape (n, max_new_tokens), and batch_size must be positive")
        if not ((uniforms >= 0) & (uniforms < 1)).all():
            raise ValueError("uniforms must lie in [0, 1)")
        model.check_room(len(each.prompt_ids), policy.max_new_tokens)
    counts = [len(uniforms) for uniforms in draws]
    ends = np.cumsum(counts).tolist()
    if not ends or not ends[-1]:
        return [SampleBatch() for _ in wanted]
    prompts, size = [each.prompt_ids for each in wanted], memory or BatchSize(batch_size)
    together = np.concatenate(draws)
    if model.is_lean:
        grid = GridDecoder(model, prompts, counts, together, policy, size, should_stop, on_progress)
        done = grid.run()
    else:
        done = Completions(model, len(together), policy)
        for prompt, end, count in zip(prompts, ends, counts, strict=True):
            rows = np.arange(end - count, end)
            _decode_prompt(model, prompt, rows, together, policy, done, size, should_stop, on_progress)
    return [done.batch(end - count, end) for end, count in zip(ends, counts, strict=True)]


@torch.inference_mode()
def _decode_prompt(
    model: CausalModel,
    prompt_ids: Sequence[int],
    rows: NDArray[np.int64],
    uniforms: NDArray[np.float64],
    policy: Policy,
    done: Completions,
    size: BatchSize,
    should_stop: Callable[[], bool] | None,
    on_progress: Callable[[int], None] | None,
) -> None:
    """Decode rows of one prompt in batches, by transformers' forward."""
    prefix, lo = model.read(prompt_ids) if len(rows) else None, 0
    while prefix is not None and lo < len(rows):
        part = rows[lo : lo + size.size]
        try:
            _decode(
                model,
                prefix,
                part,
                torch.from_numpy(uniforms[part]).to(model.device),
                policy,
                done,
                should_stop,
            )
        except torch.OutOfMemoryError:
            if len(part) == 1:
                raise
            done.forget(part)
            model.prefixes.clear()
            size.failed(len(part))
            continue
        size.fitted(len(part))
        lo += len(part)
        if on_progress is not None:
            on_progress(int(part[-1]) + 1)


def _decode(
    model: CausalModel,
    prefix: Prefix,
    rows: NDArray[np.int64],
    uniforms: Tensor,
    policy: Policy,
    done: Completions,
    should_stop: Callable[[], bool] | None,
) -> None:
    alive: NDArray[np.int64] = np.arange(len(rows))
    # One row of law serves every first token, so it cannot depend on the batch.
    law = policy_log_probs(model.logits(prefix.hidden), policy)
    tokens, logprobs = draw_from_one(law, uniforms[:, 0])
    cache: DynamicCache | None = None
    slots, width = alive, len(alive)  # where each live row stands in the batch, and its size
    for step in range(1, policy.max_new_tokens + 1):
        if should_stop is not None and should_stop():
            raise EngineAborted("sampling was stopped")
        goes_on = done.record(rows[alive], tokens.cpu().numpy(), logprobs.cpu().numpy())
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
        hidden = _step(model, cache, tokens, slots, width)
        tokens, logprobs = draw(
            model, hidden, policy, uniforms[torch.from_numpy(alive).to(model.device), step]
        )


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
