"""Supervised fine-tuning on demonstrations that compute: the base already can, it seldom does."""

import numpy as np
import torch
from batches import Batch, next_token_logprobs, pack, realised
from pretraining import computed, draw
from progress import Progress
from skills import Item
from torch import Tensor
from transformers import LlamaForCausalLM
from vocabulary import characters


def mean_cross_entropy(network: LlamaForCausalLM, batch: Batch) -> Tensor:
    """Mean over completion tokens of -log q(token), in nats."""
    return -realised(next_token_logprobs(network, batch.tokens), batch).sum() / batch.scored.sum()


def fine_tune(
    network: LlamaForCausalLM,
    items: list[Item],
    rng: np.random.Generator,
    *,
    steps: int = 24,
    batch_size: int = 128,
    peak_rate: float = 2e-4,
) -> float:
    """Imitate ``<compute>``, the right sum and EOS on ``items``, in place; returns CPU seconds."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=peak_rate, betas=(0.9, 0.98), weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peak_rate, total_steps=steps, pct_start=0.2)
    progress = Progress("sft", steps, "loss")
    for step in range(1, steps + 1):
        shown = draw(items, batch_size, rng)
        batch = pack([characters(item.prompt) for item in shown], [computed(item) for item in shown])
        loss = mean_cross_entropy(network, batch)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        progress.update(step, loss.item())
    return progress.cpu_seconds
