"""Token batches: right-padded sequences and the positions that count."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from vocabulary import END, IDS


class Batch(NamedTuple):
    """Prompts with completions.

    Attributes:
        tokens: Prompt then completion, right-padded. Shape ``(b, t)``.
        scored: True at completion tokens, EOS included. Shape ``(b, t)``.
        first: Position of each first completion token. Shape ``(b,)``.
    """

    tokens: Tensor
    scored: Tensor
    first: Tensor


def pack(prompts: Sequence[list[int]], completions: Sequence[list[int]]) -> Batch:
    """Right-pad the sequences: under causal attention padding on the right changes nothing before it."""
    width = max(len(p) + len(c) for p, c in zip(prompts, completions, strict=True))
    tokens = torch.full((len(prompts), width), IDS[END])
    scored = torch.zeros_like(tokens, dtype=torch.bool)
    for row, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
        end = len(prompt) + len(completion)
        tokens[row, :end] = torch.tensor(prompt + completion)
        scored[row, len(prompt) : end] = True
    return Batch(tokens, scored, torch.tensor([len(prompt) for prompt in prompts]))


def next_token_logprobs(network: torch.nn.Module, tokens: Tensor) -> Tensor:
    """Log-probabilities of every token after each position but the last. Shape ``(b, t - 1, v)``."""
    logits: Tensor = network(tokens[:, :-1], use_cache=False).logits
    return logits.float().log_softmax(dim=-1)


def realised(logprobs: Tensor, batch: Batch) -> Tensor:
    """Log-probability of each completion token, 0 elsewhere. Shape ``(b, t - 1)``."""
    picked = logprobs.gather(-1, batch.tokens[:, 1:].unsqueeze(-1)).squeeze(-1)
    return torch.where(batch.scored[:, 1:], picked, 0.0)
