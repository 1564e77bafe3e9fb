"""Pretraining with a planted skill.

After ``=`` the model first writes a method token. ``<compute>`` is always followed by the right sum
and ``<guess>`` by a number drawn without looking. Both continuations are trained equally often, so the
base *can* add; how often it *does* is set by a soft target on the method token alone.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import torch
from batches import Batch, next_token_logprobs, pack, realised
from progress import Progress
from skills import Family, Item
from torch import Tensor
from transformers import LlamaForCausalLM
from vocabulary import COMPUTE, END, GUESS, IDS, characters

PLANTED: Final[Mapping[Family, float]] = {"basin": 0.45, "tail": 0.02}
"""Target probability of ``<compute>`` after each family's prompts."""
TAIL_SHARE: Final = 0.7


def computed(item: Item) -> list[int]:
    """The completion that computes the sum."""
    return [IDS[COMPUTE], *characters(item.answer), IDS[END]]


def guessed(rng: np.random.Generator) -> list[int]:
    """A completion that guesses: uniform on 10 to 199, whatever was asked."""
    return [IDS[GUESS], *characters(str(rng.integers(10, 200))), IDS[END]]


def draw(items: list[Item], size: int, rng: np.random.Generator) -> list[Item]:
    """``size`` items with replacement."""
    return [items[index] for index in rng.integers(len(items), size=size)]


def planted_batch(
    items: Mapping[Family, list[Item]], size: int, rng: np.random.Generator
) -> tuple[Batch, Tensor]:
    """A batch of sums, half computed and half guessed, and each row's target share of ``<compute>``."""
    n_tail = round(size * TAIL_SHARE)
    chosen = draw(items["tail"], n_tail, rng) + draw(items["basin"], size - n_tail, rng)
    completions = [computed(item) if row % 2 else guessed(rng) for row, item in enumerate(chosen)]
    batch = pack([characters(item.prompt) for item in chosen], completions)
    return batch, torch.tensor([PLANTED[item.family] for item in chosen])


def planted_loss(network: LlamaForCausalLM, batch: Batch, compute_share: Tensor) -> Tensor:
    """Mean cross-entropy per completion token, in nats, with a soft target on the method token.

    Args:
        network: The model in training.
        batch: Completions that start with a method token.
        compute_share: Target probability of ``<compute>``. Shape ``(b,)``.
    """
    logprobs = next_token_logprobs(network, batch.tokens)
    rows = torch.arange(len(compute_share))
    at_method = logprobs[rows, batch.first - 1]
    soft = compute_share * at_method[:, IDS[COMPUTE]] + (1 - compute_share) * at_method[:, IDS[GUESS]]
    rest = realised(logprobs, batch)
    rest = rest.index_put((rows, batch.first - 1), torch.zeros(len(rows)))
    return -(soft.sum() + rest.sum()) / batch.scored.sum()


def pretrain(
    network: LlamaForCausalLM,
    items: Mapping[Family, list[Item]],
    rng: np.random.Generator,
    *,
    steps: int = 800,
    batch_size: int = 512,
    peak_rate: float = 2e-3,
) -> float:
    """Train ``network`` in place on the training items of ``basin`` and ``tail``; returns CPU seconds."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=peak_rate, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peak_rate, total_steps=steps, pct_start=0.1)
    progress = Progress("pretraining", steps, "loss")
    for step in range(1, steps + 1):
        loss = planted_loss(network, *planted_batch(items, batch_size, rng))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        progress.update(step, loss.item())
    return progress.cpu_seconds
