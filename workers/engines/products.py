"""Matrix products in the shapes that a processor's library computes fastest."""

from typing import Final

import torch
from torch import Tensor

_FEW_ROWS: Final = 128
_WIDE: Final = 2_048
_VOCABULARY: Final = 8_192
_TILE: Final = 512
"""Columns computed at a time on a CPU where few rows meet many columns, or a vocabulary: measured, a fifth to
a half faster than one call, whose result is too large for the cache."""


def product(inputs: Tensor, weight: Tensor, out: Tensor) -> Tensor:
    """Inputs times a transposed weight, into memory that is there: fresh pages cost a tenth of a product.

    Args:
        inputs: Shape ``(n, in)``.
        weight: Shape ``(columns, in)``.
        out: Shape ``(n, columns)``.

    Returns:
        `out`.
    """
    columns = len(weight)
    if not _is_tiled(inputs, columns):
        return torch.mm(inputs, weight.t(), out=out)
    for low in range(0, columns, _TILE):
        torch.mm(inputs, weight[low : low + _TILE].t(), out=out[:, low : low + _TILE])
    return out


def multiplies_wide(weight: Tensor) -> bool:
    """Whether this device multiplies matrices of such half-precision numbers into float32.

    Products of two bfloat16 numbers are exact in float32, and so are their sums as good as those of float32
    copies: which then need not exist, and run at a fraction of the rate.
    """
    if not weight.is_cuda or weight.dtype not in (torch.bfloat16, torch.float16):
        return False
    try:
        torch.mm(weight[:8, :8], weight[:8, :8].t(), out_dtype=torch.float32)
    except (RuntimeError, TypeError):
        return False
    return True


def wide_product(inputs: Tensor, weight: Tensor) -> Tensor:
    """Half-precision inputs times a transposed half-precision weight, summed in float32."""
    found: Tensor = torch.mm(inputs, weight.t(), out_dtype=torch.float32)
    return found


def _is_tiled(inputs: Tensor, columns: int) -> bool:
    if inputs.is_cuda or columns < _WIDE:
        return False
    return len(inputs) <= _FEW_ROWS or columns >= _VOCABULARY
