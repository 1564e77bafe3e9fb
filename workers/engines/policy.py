"""The decoding policy, and the exact law it makes of a row of logits."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

# Wide enough for most nuclei, and ten times cheaper to find than a sort of a 50k vocabulary.
_NUCLEUS_GUESS = 1024


@dataclass(frozen=True)
class Policy:
    """How a token is drawn from logits: temperature, then top-k, then top-p; or min-p, alone.

    Attributes:
        temperature: Divides the logits. Positive: temperature 0 is not a distribution.
        top_k: Keeps the k largest logits and every tie of the k-th. 0 keeps all.
        top_p: Keeps the smallest set of most probable tokens whose mass reaches `top_p`. 1.0 keeps all.
        min_p: Keeps tokens at least `min_p` times as probable as the most probable one. 0.0 keeps all.
        max_new_tokens: The length limit, EOS included.
        stop: Strings that end a completion once its text contains one.

    Raises:
        ValueError: if a value is out of range, or `min_p` is combined with `top_k` or `top_p`.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    max_new_tokens: int = 8
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.temperature < float("inf"):
            raise ValueError("temperature must be positive and finite")
        if self.top_k < 0 or not 0 < self.top_p <= 1 or not 0 <= self.min_p < 1:
            raise ValueError("top_k must be >= 0, top_p in (0, 1] and min_p in [0, 1)")
        if self.min_p > 0 and (self.top_k > 0 or self.top_p < 1):
            raise ValueError("min_p cannot be combined with top_k or top_p: engines disagree on their order")
        if self.max_new_tokens < 1:
            raise ValueError("max_new_tokens must be at least 1")
        if "" in self.stop:
            raise ValueError("an empty stop string would end every completion")

    @property
    def is_truncating(self) -> bool:
        """Whether some tokens may get probability zero."""
        return self.top_k > 0 or self.top_p < 1 or self.min_p > 0

    def canonical(self) -> dict[str, object]:
        """The policy as JSON values, equal for equal laws.

        Numbers are normalised (`1` and `1.0` agree); stop strings are a set, so they are sorted.
        """
        return {
            "temperature": float(self.temperature),
            "top_k": int(self.top_k),
            "top_p": float(self.top_p),
            "min_p": float(self.min_p),
            "max_new_tokens": int(self.max_new_tokens),
            "stop": sorted(set(self.stop)),
        }


def policy_log_probs(
    logits: Tensor, policy: Policy, keep: Tensor | None = None, slack: float = 0.0
) -> Tensor:
    """Log-probabilities of every token under the policy, renormalised over what survives.

    Steps 1-4 of performance.md 1.1, as in HF and vLLM. Tokens tied at the nucleus edge enter by ascending
    id, so the law is a function of the logits alone and not of a sort's whims.

    Args:
        logits: Scores, `-inf` where the vocabulary has no token. Shape ``(..., v)``.
        policy: The decoding policy.
        keep: Tokens known to have been drawn: each is kept, with everything above it, if it lies outside by
            no more than `slack`. Shape ``(...,)``.
        slack: The distance, as in `shortfalls`, that rounding explains.

    Returns:
        Nats, `-inf` outside the support; float32, or float64 if the logits are. Shape ``(..., v)``.
    """
    scaled = logits.to(torch.promote_types(logits.dtype, torch.float32)) / policy.temperature
    if not policy.is_truncating:
        return scaled.log_softmax(dim=-1)
    allowed = support(scaled, policy)
    if keep is not None and not bool(allowed.gather(-1, keep.unsqueeze(-1)).all()):
        allowed = allowed | _rescued(scaled, allowed, keep, policy, slack)
    return scaled.masked_fill(~allowed, float("-inf")).log_softmax(dim=-1)


def support(scaled: Tensor, policy: Policy) -> Tensor:
    """Which tokens survive truncation.

    Args:
        scaled: Logits already divided by the temperature. Shape ``(..., v)``.
        policy: The decoding policy.

    Returns:
        True inside. Shape ``(..., v)``.
    """
    if policy.min_p > 0:
        return (scaled > float("-inf")) & (scaled >= min_p_floor(scaled, policy))
    left = _after_top_k(scaled, policy)
    return (left > float("-inf")) & _nucleus(left, policy.top_p)


def top_k_floor(scaled: Tensor, policy: Policy) -> Tensor:
    """The k-th largest scaled logit. Shape ``(..., 1)``."""
    k = min(policy.top_k, scaled.shape[-1])
    return scaled.topk(k, dim=-1).values[..., -1:]


def min_p_floor(scaled: Tensor, policy: Policy) -> Tensor:
    """The smallest scaled logit that min-p keeps. Shape ``(..., 1)``."""
    return scaled.amax(dim=-1, keepdim=True) + math.log(policy.min_p)


def _after_top_k(scaled: Tensor, policy: Policy) -> Tensor:
    if policy.top_k == 0:
        return scaled
    return scaled.masked_fill(scaled < top_k_floor(scaled, policy), float("-inf"))


def _nucleus(left: Tensor, top_p: float) -> Tensor:
    if top_p == 1:
        return torch.ones_like(left, dtype=torch.bool)
    width = left.shape[-1]
    norm = left.logsumexp(dim=-1, keepdim=True)
    # Ranked by logits: subtracting the norm first would merge levels that differ by less than its rounding.
    descending = left.topk(min(_NUCLEUS_GUESS, width), dim=-1).values
    cumulative = (descending - norm).exp().cumsum(dim=-1)
    if width > _NUCLEUS_GUESS and bool((cumulative[..., -1] < top_p).any()):
        descending = left.sort(dim=-1, descending=True).values
        cumulative = (descending - norm).exp().cumsum(dim=-1)
    # Rounding may leave the whole mass a hair under top_p: then everything is kept.
    count = ((cumulative < top_p).sum(dim=-1, keepdim=True) + 1).clamp(max=descending.shape[-1])
    edge = descending.gather(-1, count - 1)
    above = left > edge
    ties = left == edge
    room = count - above.sum(dim=-1, keepdim=True)
    return above | (ties & (ties.cumsum(dim=-1) <= room))


def _rescued(scaled: Tensor, allowed: Tensor, keep: Tensor, policy: Policy, slack: float) -> Tensor:
    token = keep.unsqueeze(-1)
    level = scaled.gather(-1, token)
    outside = ~allowed.gather(-1, token)
    near = shortfalls(scaled, keep, policy).amax(dim=-1, keepdim=True) <= slack
    return outside & near & (scaled >= level) & (level > float("-inf"))


def shortfalls(scaled: Tensor, tokens: Tensor, policy: Policy) -> Tensor:
    """How far one token of each row is from surviving each filter; not positive where it passes.

    The unit is the nats by which logits would have to move. For top-p the mass above the token in excess of
    `top_p` stands in for it: moving every logit by ``e`` moves a mass by at most ``e/2``, so the excess
    never overstates closeness. A token whose logit ties with the edge swaps with it at once: hence the
    minimum with the gap to the edge.

    Args:
        scaled: Logits already divided by the temperature. Shape ``(..., v)``.
        tokens: One token id per row. Shape ``(...,)``.
        policy: The decoding policy.

    Returns:
        Shortfalls from top-k, top-p and min-p, `-inf` for a filter that is off. Shape ``(..., 3)``.
    """
    level = scaled.gather(-1, tokens.unsqueeze(-1))
    off = torch.full_like(level, float("-inf"))
    top_k, top_p, min_p = off, off, off
    if policy.min_p > 0:
        min_p = min_p_floor(scaled, policy) - level
    if policy.top_k > 0:
        top_k = top_k_floor(scaled, policy) - level
    if policy.top_p < 1:
        top_p = _nucleus_shortfall(scaled, level, tokens, policy)
    return torch.cat([top_k, top_p, min_p], dim=-1)


def _nucleus_shortfall(scaled: Tensor, level: Tensor, tokens: Tensor, policy: Policy) -> Tensor:
    left = _after_top_k(scaled, policy)
    inside = _nucleus(left, policy.top_p)
    mass_above = left.softmax(dim=-1).masked_fill(scaled <= level, 0.0).sum(dim=-1, keepdim=True)
    edge = scaled.masked_fill(~inside, float("inf")).amin(dim=-1, keepdim=True)
    shortfall = torch.minimum((mass_above - policy.top_p).clamp(min=0.0), (edge - level).clamp(min=0.0))
    return shortfall.masked_fill(inside.gather(-1, tokens.unsqueeze(-1)), float("-inf"))
