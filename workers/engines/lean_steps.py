"""The elementwise parts of a layer, and attention of single tokens: compiled to few kernels on a GPU.

There a kernel costs microseconds whatever it computes: norms, rotations and masks written as a dozen
operations cost more than the products between them. Without a compiler at hand the same functions run as they
are written.
"""

import torch
from torch import Tensor
from torch.nn import functional

from workers.engines.kernels import Kernel


def normed(hidden: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """Root-mean-square normalisation over the last dimension, in float32 at least."""
    return (_normed_on_gpu if hidden.is_cuda else _normed)(hidden, weight, epsilon)


def turned(heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding; the halves of the depth are a rotated pair.

    Args:
        heads: Shape ``(b, q, heads, d)``.
        cos: Shape ``(b, q, 1, d / 2)``.
        sin: Shape ``(b, q, 1, d / 2)``.
    """
    return (_turned_on_gpu if heads.is_cuda else _turned)(heads, cos, sin)


def gated(both: Tensor) -> Tensor:
    """silu(gate) · up of ``(n, 2 m)``, which may be overwritten. Shape ``(n, m)``."""
    return (_gated_on_gpu if both.is_cuda else _gated)(both)


def attention_step(
    queries: Tensor,
    own: Tensor,
    own_mask: Tensor | None,
    prompt: Tensor,
    prompt_mask: Tensor | None,
    scaling: float,
) -> Tensor:
    """Attention of one token a row to its own row and to the prompt of its block, one softmax over both.

    Args:
        queries: Shape ``(n * r, heads, d)``.
        own: Keys and values. Shape ``(2, n * r, key_heads, columns, d)``.
        own_mask: Added to the scores. Shape ``(n * r, columns)``.
        prompt: Keys and values. Shape ``(2, n, key_heads, p, d)``.
        prompt_mask: Added to the scores. Shape ``(n, p)``.
        scaling: Of the queries.

    Returns:
        Shape ``(n * r, heads, d)``.
    """
    step = _attention_on_gpu if queries.is_cuda else _attention
    return step(queries, own, own_mask, prompt, prompt_mask, scaling)


def _attention(
    queries: Tensor,
    own: Tensor,
    own_mask: Tensor | None,
    prompt: Tensor,
    prompt_mask: Tensor | None,
    scaling: float,
) -> Tensor:
    rows, heads, depth = queries.shape
    blocks, key_heads = prompt.shape[1], prompt.shape[2]
    each, group = rows // blocks, heads // key_heads
    wide = torch.promote_types(queries.dtype, torch.float32)
    scaled = (queries * scaling).view(rows, key_heads, group, depth)
    together = scaled.view(blocks, each, key_heads, group, depth).transpose(1, 2)
    together = together.reshape(blocks, key_heads, each * group, depth)
    to_own = (scaled @ own[0].transpose(-1, -2)).to(wide)
    to_prompt = (together @ prompt[0].transpose(-1, -2)).to(wide)
    if own_mask is not None:
        to_own = to_own + own_mask[:, None, None]
    if prompt_mask is not None:
        to_prompt = to_prompt + prompt_mask[:, None, None]
    # Back to rows: there the two halves of a softmax meet.
    to_prompt = to_prompt.view(blocks, key_heads, each, group, -1).transpose(1, 2)
    to_prompt = to_prompt.reshape(rows, key_heads, group, -1)
    top = torch.maximum(to_own.amax(-1, keepdim=True), to_prompt.amax(-1, keepdim=True))
    of_own, of_prompt = (to_own - top).exp(), (to_prompt - top).exp()
    total = of_own.sum(-1, keepdim=True) + of_prompt.sum(-1, keepdim=True)
    of_own, of_prompt = (of_own / total).to(queries.dtype), (of_prompt / total).to(queries.dtype)
    shared = of_prompt.view(blocks, each, key_heads, group, -1).transpose(1, 2)
    shared = shared.reshape(blocks, key_heads, each * group, -1) @ prompt[1]
    shared = shared.view(blocks, key_heads, each, group, depth).transpose(1, 2)
    mixed = of_own @ own[1] + shared.reshape(rows, key_heads, group, depth)
    return mixed.view(rows, heads, depth)


def _normed(hidden: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    wide = hidden.to(torch.promote_types(hidden.dtype, torch.float32))
    norm = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
    scale = norm.square_().div_(wide.shape[-1]).add_(epsilon).rsqrt_()
    found: Tensor = (wide * scale).to(hidden.dtype).mul_(weight)
    return found


def _plainly_normed(hidden: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    wide = hidden.to(torch.promote_types(hidden.dtype, torch.float32))
    scale = (wide.square().mean(dim=-1, keepdim=True) + epsilon).rsqrt()
    found: Tensor = (wide * scale).to(hidden.dtype) * weight
    return found


def _turned(heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = heads.shape[-1] // 2
    left, right = heads[..., :half], heads[..., half:]
    found = torch.empty(heads.shape, dtype=heads.dtype, device=heads.device)
    torch.mul(left, cos, out=found[..., :half]).addcmul_(right, sin, value=-1)
    torch.mul(right, cos, out=found[..., half:]).addcmul_(left, sin)
    return found


def _plainly_turned(heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    left, right = heads.chunk(2, dim=-1)
    return torch.cat([left * cos - right * sin, right * cos + left * sin], dim=-1)


def _gated(both: Tensor) -> Tensor:
    gate, up = both.chunk(2, dim=-1)
    return functional.silu(gate, inplace=True).mul_(up)


def _plainly_gated(both: Tensor) -> Tensor:
    gate, up = both.chunk(2, dim=-1)
    return functional.silu(gate) * up


# Written for a compiler: without memory to reuse, which on a CPU is what counts.
_attention_on_gpu = Kernel(_attention)
_normed_on_gpu = Kernel(_plainly_normed)
_turned_on_gpu = Kernel(_plainly_turned)
_gated_on_gpu = Kernel(_plainly_gated)
