"""The elementwise parts of a layer, and attention of single tokens: compiled to few kernels on a GPU.

There a kernel costs microseconds whatever it computes: norms, rotations and masks written as a dozen
operations cost more than the products between them. Without a compiler at hand the same functions run as they
are written.
"""

from collections.abc import Callable

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
    starts: Tensor,
    cursor: Tensor,
    prompt: Tensor,
    lengths: Tensor,
    scaling: float,
) -> Tensor:
    """Attention of one token a row to its own row and to the prompt of its block, one softmax over both.

    Args:
        queries: Shape ``(n * r, heads, d)``.
        own: Keys and values. Shape ``(2, n * r, key_heads, columns, d)``.
        starts: Each row's first own column. Shape ``(n * r,)``.
        cursor: The column of the tokens being fed, the last that is attended to. Shape ``(1,)``.
        prompt: Keys and values, at least one token's. Shape ``(2, n, key_heads, p, d)``.
        lengths: Tokens of each prompt, positive. Shape ``(n,)``.
        scaling: Of the queries.

    Returns:
        Shape ``(n * r, heads, d)``.
    """
    step = _attention_on_gpu if queries.is_cuda else _attention
    return step(queries, own, starts, cursor, prompt, lengths, scaling)


def _attention(
    queries: Tensor,
    own: Tensor,
    starts: Tensor,
    cursor: Tensor,
    prompt: Tensor,
    lengths: Tensor,
    scaling: float,
) -> Tensor:
    rows, heads, depth = queries.shape
    key_heads, each = own.shape[2], rows // prompt.shape[1]
    wide = torch.promote_types(queries.dtype, torch.float32)
    scaled = (queries * scaling).view(rows, key_heads, heads // key_heads, depth)
    keys, values = (
        torch.cat([of_block.repeat_interleave(each, dim=0), of_row], dim=-2)
        for of_block, of_row in zip(prompt, own, strict=True)
    )
    scores = (scaled @ keys.transpose(-1, -2)).to(wide)
    column = torch.arange(own.shape[-2], device=queries.device)
    place = torch.arange(prompt.shape[-2], device=queries.device)
    of_prompt = (place < lengths.unsqueeze(-1)).repeat_interleave(each, dim=0)
    of_row = (column >= starts.unsqueeze(-1)) & (column <= cursor)
    seen = torch.cat([of_prompt, of_row], dim=-1)[:, None, None]
    weights = scores.masked_fill(~seen, float("-inf")).softmax(dim=-1).to(queries.dtype)
    return (weights @ values).view(rows, heads, depth)


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


def _in_triton(plain: Callable[..., Tensor]) -> Callable[..., Tensor]:
    from workers.engines import attention_kernel  # only builds for GPUs bring Triton

    return attention_kernel.attention_step


_attention_on_gpu = Kernel(_attention, _in_triton)
# Written for a compiler: without memory to reuse, which on a CPU is what counts.
_normed_on_gpu = Kernel(_plainly_normed)
_turned_on_gpu = Kernel(_plainly_turned)
_gated_on_gpu = Kernel(_plainly_gated)
