"""Linear layers that read the same input, as one product; with a LoRA adapter as two more."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from workers.engines.products import product


class NotPlain(Exception):
    """A layer that is more than a linear one with a LoRA."""


@dataclass(frozen=True)
class _Raise:
    """What an adapter adds to some columns: scaling times lowered input times raising matrix."""

    columns: slice
    ranks: slice
    matrix: Tensor
    scaling: float


@dataclass(frozen=True)
class StackedLinear:
    """Layers with one input, stacked.

    Attributes:
        weight: Shape ``(out, in)``.
        bias: Shape ``(out,)``, or None.
        lowering: The adapter's lowering matrices, stacked. Shape ``(ranks, in)``, or None without adapter.
        raising: What turns ranks into outputs.
    """

    weight: Tensor
    bias: Tensor | None
    lowering: Tensor | None = None
    raising: tuple[_Raise, ...] = ()

    def room(self, inputs: Tensor) -> Tensor:
        """Memory for the result of as many inputs ``(n, in)``. Shape ``(n, out)``."""
        return inputs.new_empty((len(inputs), len(self.weight)))

    def __call__(self, inputs: Tensor, *, out: Tensor | None = None, onto: Tensor | None = None) -> Tensor:
        """Apply to ``(n, in)``; the result ``(n, out)`` is written to `out`, or added to `onto`."""
        if onto is None:
            outputs = product(inputs, self.weight, self.room(inputs) if out is None else out)
        else:
            outputs = onto.addmm_(inputs, self.weight.t())
        if self.bias is not None:
            outputs += self.bias
        if self.lowering is not None:
            low = nn.functional.linear(inputs, self.lowering)
            for part in self.raising:
                outputs[:, part.columns].addmm_(low[:, part.ranks], part.matrix.t(), alpha=part.scaling)
        return outputs


def stack(layers: Sequence[Any], adapter: str | None) -> StackedLinear:
    """Stack linear layers; their own weights become views of the stack, so that it costs no memory.

    Args:
        layers: Linear layers of one input width, perhaps wrapped by PEFT.
        adapter: The adapter that acts, or None.

    Raises:
        NotPlain: if a layer is more than linear, or its adapter more than a LoRA.
    """
    plain = [getattr(layer, "base_layer", layer) for layer in layers]
    if any(type(layer) is not nn.Linear for layer in plain):
        raise NotPlain
    weight = _stacked([layer.weight for layer in plain])
    biases = [layer.bias for layer in plain]
    if any(bias is not None for bias in biases) and any(bias is None for bias in biases):
        raise NotPlain
    bias = None if biases[0] is None else _stacked(biases)
    found = [
        (layer, columns)
        for layer, columns in zip(layers, _slices([layer.out_features for layer in plain]), strict=True)
        if adapter is not None and adapter in getattr(layer, "lora_A", ())
    ]
    if not found:
        return StackedLinear(weight, bias)
    for layer, _ in found:
        if layer.use_dora.get(adapter) or layer.lora_bias.get(adapter):
            raise NotPlain
    downs = [layer.lora_A[adapter].weight for layer, _ in found]
    lowering = _stacked(downs)
    raising = tuple(
        _Raise(columns, ranks, layer.lora_B[adapter].weight.detach(), float(layer.scaling[adapter]))
        for (layer, columns), ranks in zip(found, _slices([len(down) for down in downs]), strict=True)
    )
    return StackedLinear(weight, bias, lowering, raising)


def _stacked(parts: list[Tensor]) -> Tensor:
    """Parameters one below the other, each afterwards a view of the result."""
    if len(parts) == 1:
        return parts[0].detach()
    whole = _whole(parts)
    if whole is None:
        whole = torch.cat([part.detach() for part in parts])
        for part, rows in zip(parts, _slices([len(part) for part in parts]), strict=True):
            part.data = whole[rows]
    return whole


def _whole(parts: list[Tensor]) -> Tensor | None:
    """The stack these parameters are views of already, if they are."""
    first = parts[0].detach()
    end = first.data_ptr()
    for part in parts:
        same = part.untyped_storage().data_ptr() == first.untyped_storage().data_ptr()
        if not same or part.data_ptr() != end or not part.is_contiguous():
            return None
        end += part.numel() * part.element_size()
    shape = (sum(len(part) for part in parts), *first.shape[1:])
    return first.as_strided(shape, first.stride())


def _slices(sizes: Sequence[int]) -> list[slice]:
    out, start = [], 0
    for size in sizes:
        out.append(slice(start, start + size))
        start += size
    return out
