"""Teaching a rule the base never saw: fine-tuning on reversal, with replay of the base's own curriculum.

Replay keeps the price of the sums where pretraining planted it, so that what changes is the new rule.
"""

from collections.abc import Mapping

import numpy as np
import torch
from batches import pack
from pretraining import draw, planted_batch, planted_loss
from progress import Progress
from sft import mean_cross_entropy
from skills import Family, Item
from transformers import LlamaForCausalLM
from vocabulary import END, IDS, characters


def written(item: Item) -> list[int]:
    """The answer and EOS, without a method token."""
    return [*characters(item.answer), IDS[END]]


def teach_rule(
    network: LlamaForCausalLM,
    items: Mapping[Family, list[Item]],
    rng: np.random.Generator,
    *,
    steps: int = 220,
    batch_size: int = 96,
    peak_rate: float = 1e-3,
) -> float:
    """Train ``network`` in place on ``batch_size`` reversals and as many sums a step; returns CPU seconds."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=peak_rate, betas=(0.9, 0.98), weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peak_rate, total_steps=steps, pct_start=0.2)
    progress = Progress("new rule", steps, "loss")
    for step in range(1, steps + 1):
        fresh = draw(items["new"], batch_size, rng)
        lesson = pack([characters(item.prompt) for item in fresh], [written(item) for item in fresh])
        replayed, compute_share = planted_batch(items, batch_size, rng)
        loss = mean_cross_entropy(network, lesson) + planted_loss(network, replayed, compute_share)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        progress.update(step, loss.item())
    return progress.cpu_seconds
