"""The exact chance that one sample is right, by scoring every member of the correct set.

For the ``exact`` verifier a sample is right if its text without special tokens, stripped, is the answer.
In a character vocabulary the token sequences with that text are few: the answer's characters in order,
special tokens anywhere among them, and then EOS or the length limit. They form a small tree, walked here
level by level. Depends on torch and transformers only, so that it can check any instrument.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True, slots=True)
class ExactSuccess:
    """p(C) at temperature 1, nothing truncated.

    Attributes:
        value: Summed probability of the members of C that were scored: a lower end, exact if
            ``unscored`` is 0.
        unscored: Probability of the prefixes left aside as too improbable: p(C) is at most
            ``value + unscored``.
        members: How many members of C were scored.
    """

    value: float
    unscored: float
    members: int


@dataclass(frozen=True, slots=True)
class _Prefix:
    tokens: tuple[int, ...]
    matched: int
    logprob: float


@torch.no_grad()
def _next_logprobs(
    network: torch.nn.Module, prompt: list[int], prefixes: list[_Prefix], batch: int
) -> list[list[float]]:
    """Log-probabilities of the token after each prefix, one row a prefix, in nats."""
    rows = torch.tensor([[*prompt, *prefix.tokens] for prefix in prefixes])
    logits = [network(part, use_cache=False).logits[:, -1] for part in rows.split(batch)]
    return torch.cat(logits).double().log_softmax(dim=-1).tolist()


def _extend(prefix: _Prefix, row: list[float], hidden: list[int], wanted: list[int]) -> list[_Prefix]:
    """The prefixes one token longer that can still become the answer."""
    moves = [(token, prefix.matched) for token in hidden]
    if prefix.matched < len(wanted):
        moves.append((wanted[prefix.matched], prefix.matched + 1))
    return [
        _Prefix((*prefix.tokens, token), matched, prefix.logprob + row[token]) for token, matched in moves
    ]


def exact_success(
    network: torch.nn.Module,
    tokenizer: Any,
    prompt: str,
    answer: str,
    *,
    max_new_tokens: int = 8,
    negligible: float = 0.0,
    batch: int = 512,
) -> ExactSuccess:
    """Probability that one completion of ``prompt`` decodes to ``answer``.

    Args:
        network: A causal language model, in evaluation mode.
        tokenizer: Its tokenizer, with one token per character of ``answer``.
        prompt: Encoded by the tokenizer's own defaults.
        answer: The accepted text.
        max_new_tokens: The length limit; a sample cut by it is judged as it stands.
        negligible: Prefixes less probable than this are not extended, and counted in ``unscored``; at 0
            nothing is left aside, at 1e-15 the walk is ten times shorter.
        batch: Prefixes in one forward pass.

    Raises:
        ValueError: If the answer is not a sequence of single-character tokens.
    """
    wanted: list[int] = tokenizer.encode(answer, add_special_tokens=False)
    if tokenizer.convert_ids_to_tokens(wanted) != list(answer):
        raise ValueError(f"{answer!r} is not one token per character")
    end: int = tokenizer.eos_token_id
    hidden = sorted(set(tokenizer.all_special_ids) - {end})
    prompt_ids: list[int] = tokenizer.encode(prompt)
    members: list[float] = []
    unscored = 0.0
    level = [_Prefix((), 0, 0.0)]
    for left in reversed(range(max_new_tokens)):
        rows = _next_logprobs(network, prompt_ids, level, batch)
        following: list[_Prefix] = []
        for prefix, row in zip(level, rows, strict=True):
            if prefix.matched == len(wanted):
                members.append(math.exp(prefix.logprob + row[end]))
            following += _extend(prefix, row, hidden, wanted)
        possible = [prefix for prefix in following if len(wanted) - prefix.matched <= left]
        if left == 0:
            members += [math.exp(prefix.logprob) for prefix in possible]
            break
        level = [prefix for prefix in possible if math.exp(prefix.logprob) >= negligible]
        unscored += sum(
            math.exp(prefix.logprob) for prefix in possible if math.exp(prefix.logprob) < negligible
        )
        if not level:
            break
    return ExactSuccess(math.fsum(members), unscored, len(members))
