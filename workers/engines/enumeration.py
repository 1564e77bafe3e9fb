"""Exact laws of tiny models: every completion, by a level-batched walk of the tree of tokens."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DynamicCache

from workers.engines.causal_model import CausalModel
from workers.engines.completions import FinishReason, ending
from workers.engines.errors import TreeTooLarge
from workers.engines.policy import Policy, policy_log_probs
from workers.engines.prefix_cache import repeated, selected

# About 10 s of a tiny model on one core, and under 1 GB of completions.
MAX_NODES = 1_000_000
# Prefixes whose caches exist together; wider levels are walked in parts.
_MAX_ROWS = 4096


class Completion(NamedTuple):
    """One completion and its exact log-probability in nats under the policy."""

    token_ids: tuple[int, ...]
    log_prob: float
    finish_reason: FinishReason


@dataclass(frozen=True)
class ExactDivergence:
    """Sequence-level quantities by enumeration, in nats.

    Attributes:
        kl: KL(sampler‖scorer), expectation under the sampler; `inf` if it leaves the scorer's support.
        entropy: Of the sampler.
        singular_mass: Sampler's probability of completions the scorer gives probability zero.
    """

    kl: float
    entropy: float
    singular_mass: float


def enumerate_completions(
    model: CausalModel, prompt_ids: Sequence[int], policy: Policy, max_nodes: int = MAX_NODES
) -> list[Completion]:
    """Every completion with positive probability, by the rules sampling follows; the probabilities sum to 1.

    Args:
        model: A tiny model.
        prompt_ids: The rendered prompt.
        policy: The decoding policy.
        max_nodes: Completions and proper prefixes together, at most.

    Raises:
        TreeTooLarge: beyond `max_nodes`.
        PromptTooLong: if prompt and completion may exceed the context.
    """
    leaves = _leaves((model,), prompt_ids, policy, max_nodes)
    return [Completion(ids, float(log_probs[0]), reason) for ids, log_probs, reason in leaves]


def exact_divergence(
    sampler: CausalModel,
    scorer: CausalModel,
    prompt_ids: Sequence[int],
    policy: Policy,
    max_nodes: int = MAX_NODES,
) -> ExactDivergence:
    """KL(sampler‖scorer) over completions as the sampler ends them, by enumeration.

    Args:
        sampler: Its support and its end tokens make the tree.
        scorer: A model with the same tokenizer.
        prompt_ids: The rendered prompt.
        policy: The decoding policy of both.
        max_nodes: As in `enumerate_completions`.

    Raises:
        TreeTooLarge: beyond `max_nodes`.
        PromptTooLong: if prompt and completion may exceed either context.
        ValueError: if the scorer cannot read a token of the sampler.
    """
    if scorer.embedded_tokens < sampler.vocabulary_size:
        raise ValueError("the scorer cannot read every token of the sampler")
    table = np.array(
        [log_probs for _, log_probs, _ in _leaves((sampler, scorer), prompt_ids, policy, max_nodes)]
    )
    mine, theirs = table[:, 0], table[:, 1]
    mass = np.exp(mine)
    singular = np.isneginf(theirs)
    kl = np.inf if singular.any() else float(np.sum(mass * (mine - theirs)))
    return ExactDivergence(kl, float(-np.sum(mass * mine)), float(mass[singular].sum()))


class _Level(NamedTuple):
    """Prefixes of one length, with what each model has cached of them.

    Shapes: token_ids ``(n, length)``, log_probs ``(n, models)``, laws one ``(n, v)`` per model.
    """

    token_ids: NDArray[np.int64]
    log_probs: NDArray[np.float64]
    laws: list[NDArray[np.float64]]
    caches: list[DynamicCache]


_Leaf = tuple[tuple[int, ...], NDArray[np.float64], FinishReason]


class _Children(NamedTuple):
    """Prefixes that go on, by parent row. Shapes ``(n,)``, ``(n, length)``, ``(n, models)``."""

    parents: NDArray[np.int64]
    token_ids: NDArray[np.int64]
    log_probs: NDArray[np.float64]


def _leaves(
    models: tuple[CausalModel, ...], prompt_ids: Sequence[int], policy: Policy, max_nodes: int
) -> Iterator[_Leaf]:
    for model in models:
        model.check_room(len(prompt_ids), policy.max_new_tokens)
    root = _root(models, prompt_ids, policy)
    # Depth first over parts not grown yet: at each length one part's caches exist, besides its parents'.
    stack: list[tuple[_Level, _Children | None]] = [(root, None)]
    nodes = 1
    while stack:
        parent, part = stack.pop()
        level = parent if part is None else _grown(models, parent, part, policy)
        parents, tokens = np.nonzero(level.laws[0] > -np.inf)
        nodes += len(parents)
        if nodes > max_nodes:
            raise TreeTooLarge(f"more than {max_nodes} nodes")
        ids = np.concatenate([level.token_ids[parents], tokens[:, None]], axis=1)
        steps = np.stack([law[parents, tokens] for law in level.laws], axis=1)
        log_probs = level.log_probs[parents] + steps
        goes_on = np.ones(len(ids), dtype=bool)
        for row, completion in enumerate(ids.tolist()):
            reason = ending(models[0], completion, policy)
            if reason is not None:
                goes_on[row] = False
                yield tuple(completion), log_probs[row], reason
        kept = np.flatnonzero(goes_on)
        for lo in range(0, len(kept), _MAX_ROWS):
            rows = kept[lo : lo + _MAX_ROWS]
            stack.append((level, _Children(parents[rows], ids[rows], log_probs[rows])))


def _root(models: tuple[CausalModel, ...], prompt_ids: Sequence[int], policy: Policy) -> _Level:
    prefixes = [model.read(prompt_ids) for model in models]
    laws = [_law(model, prefix.hidden, policy) for model, prefix in zip(models, prefixes, strict=True)]
    # No room: every level branches, so its caches are copied anyway.
    caches = [repeated(prefix.cache, 1, 0) for prefix in prefixes]
    return _Level(np.empty((1, 0), dtype=np.int64), np.zeros((1, len(models))), _aligned(laws), caches)


def _grown(models: tuple[CausalModel, ...], level: _Level, part: _Children, policy: Policy) -> _Level:
    laws, caches = [], []
    for model, cache in zip(models, level.caches, strict=True):
        rows = torch.from_numpy(part.parents).to(model.device)
        twin = selected(cache, rows)
        fed = torch.from_numpy(part.token_ids[:, -1:].copy()).to(model.device)
        laws.append(_law(model, model.extend(twin, fed)[:, -1], policy))
        caches.append(twin)
    return _Level(part.token_ids, part.log_probs, _aligned(laws), caches)


def _law(model: CausalModel, hidden: torch.Tensor, policy: Policy) -> NDArray[np.float64]:
    law: NDArray[np.float64] = policy_log_probs(model.logits(hidden), policy).cpu().numpy()
    return law


def _aligned(laws: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Give every law the sampler's width: ids a model lacks have probability zero."""
    width = laws[0].shape[1]
    missing = [max(0, width - law.shape[1]) for law in laws]
    return [
        np.pad(law, ((0, 0), (0, gap)), constant_values=-np.inf)[:, :width]
        for law, gap in zip(laws, missing, strict=True)
    ]
