"""Drawing tokens from laws by inverse transform, and what was drawn's exact log-probability."""

from typing import Final

import torch
from torch import Tensor

from workers.engines.causal_model import CausalModel
from workers.engines.kernels import Kernel
from workers.engines.policy import Policy, policy_log_probs

# Elements of a law held at a time on a CPU: temporaries stay in the cache then, and need no fresh pages from
# the system, which cost more than the arithmetic.
_CPU_ELEMENTS: Final = 1 << 18
_BLOCKS: Final = {True: 256, False: 64}
"""Tokens whose masses are summed before a block of them is chosen, in large vocabularies and in others."""
_LARGE: Final = 8_192


@torch.inference_mode()
def draw(
    model: CausalModel, hidden: Tensor, policy: Policy, uniforms: Tensor, *, checked: bool = True
) -> tuple[Tensor, Tensor]:
    """One token for each hidden state.

    Args:
        model: Whose head makes the laws.
        hidden: Final hidden states. Shape ``(b, h)``.
        policy: The decoding policy.
        uniforms: float64 in [0, 1). Shape ``(b,)``.
        checked: Whether scores are looked at, for which a GPU must be waited for. Where they are not, the
            log-probability is NaN in a row with a score that is NaN or +inf.

    Returns:
        Token ids, and their log-probabilities in nats under the policy, float64. Shapes ``(b,)``.

    Raises:
        NonFiniteLogits: if a score is NaN or +inf, and they are checked.
    """
    drawn = []
    for lo in range(0, len(hidden), model.head_rows):
        scores = model.scores(hidden[lo : lo + model.head_rows], in_room=True, checked=checked)
        rows = len(scores) if scores.is_cuda else max(1, _CPU_ELEMENTS // scores.shape[-1])
        for start in range(0, len(scores), rows):
            part = scores[start : start + rows]
            here = lo + start
            drawn.append(_drawn(part, policy, uniforms[here : here + len(part)]))
    tokens, logprobs = zip(*drawn, strict=True)
    return torch.cat(tokens), torch.cat(logprobs)


@torch.inference_mode()
def draw_from_one(law: Tensor, uniforms: Tensor) -> tuple[Tensor, Tensor]:
    """As `draw`, many tokens from a single law of float64 log-probabilities. Shapes ``(1, v)``, ``(b,)``."""
    tokens = inverse_transform(law, uniforms.unsqueeze(0)).squeeze(0)
    return tokens, law[0, tokens]


@torch.inference_mode()
def inverse_transform(log_probs: Tensor, uniforms: Tensor) -> Tensor:
    """The token whose slice of [0, 1) holds the uniform, tokens in id order.

    Args:
        log_probs: Normalised laws, `-inf` outside the support. Shape ``(b, v)``.
        uniforms: float64 in [0, 1), one or several for each law. Shape ``(b,)`` or ``(b, n)``.

    Returns:
        Token ids, never of a token with probability zero. Of the shape of `uniforms`.
    """
    many = uniforms if uniforms.ndim == 2 else uniforms.unsqueeze(-1)
    return _inverse(log_probs.double().exp(), many).view(uniforms.shape)


def _drawn(scores: Tensor, policy: Policy, uniforms: Tensor) -> tuple[Tensor, Tensor]:
    if policy.is_truncating or scores.dtype == torch.float64:
        law = policy_log_probs(scores.double(), policy)
        tokens = inverse_transform(law, uniforms)
        return tokens, law.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    if scores.is_cuda:
        return _drawn_on_gpu(scores, policy.temperature, uniforms)
    # Scores are float32 already. The exponential of a difference of two errs by one part in ten million, less
    # than the order of summation in the model's own products moves; sums of it are in float64.
    shifted = scores / policy.temperature if policy.temperature != 1 else scores
    shifted = shifted - shifted.amax(dim=-1, keepdim=True)
    tokens, whole = _weighted(shifted.exp(), uniforms)
    logprobs = shifted.gather(-1, tokens.unsqueeze(-1)).double() - whole.log()
    return tokens, logprobs.squeeze(-1)


def _drawn_on_gpu(scores: Tensor, temperature: float, uniforms: Tensor) -> tuple[Tensor, Tensor]:
    """As on a CPU, without weights that are written down: scores are read twice, the chosen block again."""
    width = scores.shape[-1]
    size = _BLOCKS[width > _LARGE]
    top, total = _block_totals(scores, temperature, size)
    block = _inverse(total, uniforms.unsqueeze(-1))
    cumulative = total.cumsum(dim=-1)
    whole = cumulative[:, -1:]
    before = (cumulative - total).gather(-1, block)
    place = block * size + torch.arange(size, device=scores.device)
    inside = (scores.gather(-1, place.clamp(max=width - 1)) - top) / temperature
    inside = inside.exp().masked_fill(place >= width, 0.0).double()
    held = inside.sum(dim=-1, keepdim=True)
    share = ((uniforms.unsqueeze(-1) * whole - before) / held).clamp_(0.0, 1.0 - 2**-53)
    # Where scores are NaN, any token will do, so long as it exists.
    tokens = (block * size + _inverse(inside, share)).clamp(max=width - 1)
    logprobs = ((scores.gather(-1, tokens) - top) / temperature).double() - whole.log()
    return tokens.squeeze(-1), logprobs.squeeze(-1)


def _plain_block_totals(scores: Tensor, temperature: float, block_size: int) -> tuple[Tensor, Tensor]:
    """Each row's largest score, and its blocks' masses over that one's. Shapes ``(b, 1)``, ``(b, n)``."""
    top = scores.amax(dim=-1, keepdim=True)
    weights = ((scores - top) / temperature).exp()
    weights = torch.nn.functional.pad(weights, (0, -weights.shape[-1] % block_size))
    blocks = weights.view(len(weights), -1, block_size)
    return top, blocks.sum(dim=-1, dtype=torch.float64)


_block_totals = Kernel(_plain_block_totals)


def _weighted(weights: Tensor, uniforms: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens in proportion to float32 weights ``(b, v)``, and the sum of these in float64 ``(b, 1)``."""
    block_size = _BLOCKS[weights.shape[-1] > _LARGE]
    if weights.shape[-1] <= 2 * block_size:
        probs = weights.double()
        cdf = probs.cumsum(dim=-1)
        return _searched(probs, cdf, uniforms.unsqueeze(-1)).squeeze(-1), cdf[:, -1:]
    masses, total = _block_masses(weights, block_size)
    block = _inverse(total, uniforms.unsqueeze(-1))
    cumulative = total.cumsum(dim=-1)
    whole = cumulative[:, -1:]
    before = (cumulative - total).gather(-1, block)
    inside = masses.gather(1, block.unsqueeze(-1).expand(-1, 1, masses.shape[-1])).squeeze(1).double()
    held = inside.sum(dim=-1, keepdim=True)
    # A fraction below 1, so that rounding of `before` cannot lead past the block.
    share = ((uniforms.unsqueeze(-1) * whole - before) / held).clamp_(0.0, 1.0 - 2**-53)
    return (block * block_size + _inverse(inside, share)).squeeze(-1), whole


def _block_masses(weights: Tensor, block_size: int) -> tuple[Tensor, Tensor]:
    """Weights in blocks of tokens, and each block's sum in float64. Shapes ``(b, n, w)``, ``(b, n)``."""
    missing = -weights.shape[-1] % block_size
    blocks = torch.nn.functional.pad(weights, (0, missing)) if missing else weights
    blocks = blocks.view(len(weights), -1, block_size)
    return blocks, blocks.sum(dim=-1, dtype=torch.float64)


def _inverse(probs: Tensor, uniforms: Tensor) -> Tensor:
    """As `inverse_transform`, of masses ``(b, v)`` that need not sum to one and uniforms ``(b, n)``."""
    return _searched(probs, probs.cumsum(dim=-1), uniforms)


def _searched(probs: Tensor, cdf: Tensor, uniforms: Tensor) -> Tensor:
    # Strictly above: a uniform of 0 must skip leading tokens of probability zero. The largest double below 1
    # times the total rounds below the total, so a token is always found.
    token = torch.searchsorted(cdf, uniforms * cdf[:, -1:], right=True)
    if probs.is_cuda:
        # NaN sorts behind all: an index outside would end the process.
        token = token.clamp(max=probs.shape[-1] - 1)
    # For one uniform a law, to look whether it is needed takes a GPU longer than to do it.
    is_done_anyway = probs.is_cuda and token.shape[-1] == 1
    if is_done_anyway or bool((probs.gather(-1, token) == 0).any()):
        # Parallel prefix sums on a GPU may step by an ulp across a token of probability zero.
        token = torch.stack([_nearest_possible(probs, column) for column in token.unbind(-1)], dim=-1)
    return token


def _nearest_possible(probs: Tensor, token: Tensor) -> Tensor:
    width = probs.shape[-1]
    ids = torch.arange(width, device=probs.device).expand_as(probs)
    following = ids.masked_fill((probs == 0) | (ids < token.unsqueeze(-1)), width).amin(dim=-1)
    last = ids.masked_fill(probs == 0, -1).amax(dim=-1)
    return following.where(following < width, last)
