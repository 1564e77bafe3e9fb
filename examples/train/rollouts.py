"""Sampling completions at temperature 1, nothing truncated."""

import inspect

import torch
from torch import Tensor
from transformers import DynamicCache, LlamaForCausalLM
from vocabulary import END, IDS


@torch.no_grad()
def sample(
    network: LlamaForCausalLM, prompts: Tensor, max_new_tokens: int, generator: torch.Generator
) -> Tensor:
    """Draw one completion for each row; EOS fills what follows the first EOS.

    Args:
        network: The policy.
        prompts: Token ids of prompts of one length. Shape ``(b, t)``.
        max_new_tokens: Longest completion, EOS included.
        generator: The only source of randomness.

    Returns:
        Token ids. Shape ``(b, s)`` with s at most ``max_new_tokens``.
    """
    # transformers 5.24 renamed the argument.
    accepted = inspect.signature(network.forward).parameters
    cache_argument = "cache" if "cache" in accepted else "past_key_values"
    cache, inputs = DynamicCache(config=network.config), prompts
    ended = torch.zeros(len(prompts), dtype=torch.bool)
    drawn: list[Tensor] = []
    while len(drawn) < max_new_tokens and not ended.all():
        logits = network(inputs, use_cache=True, **{cache_argument: cache}).logits[:, -1]
        tokens = torch.multinomial(logits.float().softmax(-1), 1, generator=generator).squeeze(1)
        tokens = torch.where(ended, IDS[END], tokens)
        ended |= tokens == IDS[END]
        drawn.append(tokens)
        inputs = tokens.unsqueeze(1)
    return torch.stack(drawn, dim=1)


def until_end(completion: list[int]) -> list[int]:
    """The completion up to and including its first EOS, or whole if it has none."""
    return completion[: completion.index(IDS[END]) + 1] if IDS[END] in completion else completion
