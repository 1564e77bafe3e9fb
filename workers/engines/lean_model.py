"""The forward of a Llama-family model in few operations, on the weights that transformers loaded.

What transformers does in some forty operations a layer takes a third of that here: stacked projections, keys
and values written in place, and a prompt that is read once and attended to once for all rows that share it.
See docs/decisions/016-our-forward.md.
"""

from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional

from workers.engines.lean_cache import LeanCache, empty_cache
from workers.engines.lean_linear import StackedLinear, stack
from workers.engines.lean_steps import attention_step, gated, normed, turned

FAMILIES: Final = frozenset({"llama", "mistral", "qwen2", "qwen3"})
"""Model types whose layers are the ones computed here; a check of numbers follows at loading all the same."""

_ROTARY: Final = frozenset({"default", "linear", "llama3", "yarn"})
"""Rotary embeddings whose angles are a function of the position alone."""

_WIDE_BLOCK: Final = 32
"""Rows of a block from which on a call a block costs less than copies for one call in all."""


@dataclass(frozen=True)
class _Layer:
    before_attention: Tensor
    attention_in: StackedLinear
    query_norm: Tensor | None
    key_norm: Tensor | None
    attention_out: StackedLinear
    before_mlp: Tensor
    mlp_in: StackedLinear
    mlp_out: StackedLinear


class LeanModel:
    """A Llama-family decoder without its head.

    Args:
        model: The transformers model; the weights of its linear layers become views of stacked ones.
        adapter: The LoRA adapter that acts, or None.
    """

    def __init__(self, model: Any, adapter: str | None = None) -> None:
        config, base = model.config, model.base_model
        attention = base.layers[0].self_attn
        self._embedding: Tensor = base.embed_tokens.weight.detach()
        self._rotary = base.rotary_emb
        self._heads: int = config.num_attention_heads
        self._key_heads: int = config.num_key_value_heads
        self._depth: int = attention.head_dim
        self._scaling: float = attention.scaling
        self._epsilon: float = config.rms_norm_eps
        self._norm: Tensor = base.norm.weight.detach()
        self._layers = [_layer(layer, adapter) for layer in base.layers]
        self._angles: tuple[Tensor, Tensor] | None = None

    def empty_cache(self) -> LeanCache:
        """A cache of one row that has read nothing."""
        return empty_cache(self._embedding, len(self._layers), self._key_heads, self._depth)

    @torch.inference_mode()
    def extend(self, cache: LeanCache, token_ids: Tensor) -> Tensor:
        """Feed tokens after what the cache holds; the cache grows.

        Args:
            cache: Of b rows.
            token_ids: Shape ``(b, q)``.

        Returns:
            Final hidden states. Shape ``(b, q, h)``.
        """
        rows, count = token_ids.shape
        cache.make_room(count)
        cos, sin = self._cos_sin(cache, count)
        attend = _Attention(cache, count, self._scaling)
        hidden = torch.nn.functional.embedding(token_ids.reshape(-1), self._embedding)
        heads, key_heads, depth = self._heads, self._key_heads, self._depth
        # Layers use the same memory one after another.
        room = [layer.room(hidden) for layer in (self._layers[0].attention_in, self._layers[0].mlp_in)]
        for number, layer in enumerate(self._layers):
            inner = normed(hidden, layer.before_attention, self._epsilon)
            inner = layer.attention_in(inner, out=room[0])
            inner = inner.view(rows, count, heads + 2 * key_heads, depth)
            if layer.query_norm is not None and layer.key_norm is not None:
                inner[:, :, :heads] = normed(inner[:, :, :heads], layer.query_norm, self._epsilon)
                keys = inner[:, :, heads : heads + key_heads]
                inner[:, :, heads : heads + key_heads] = normed(keys, layer.key_norm, self._epsilon)
            rotated = turned(inner[:, :, : heads + key_heads], cos, sin)
            values = inner[:, :, heads + key_heads :].transpose(1, 2)
            cache.write(number, rotated[:, :, heads:].transpose(1, 2), values)
            mixed = attend(number, rotated[:, :, :heads])
            hidden = layer.attention_out(mixed.reshape(rows * count, heads * depth), onto=hidden)
            inner = layer.mlp_in(normed(hidden, layer.before_mlp, self._epsilon), out=room[1])
            hidden = layer.mlp_out(gated(inner), onto=hidden)
        cache.advance(count)
        return normed(hidden, self._norm, self._epsilon).view(rows, count, -1)

    def _cos_sin(self, cache: LeanCache, count: int) -> tuple[Tensor, Tensor]:
        """Cosines and sines of half the depth, for each token. Shape ``(b, q, 1, d / 2)``."""
        positions = cache.positions(count)
        needed = cache.blocks.shape[-2] + cache.attended(count)
        if self._angles is None or len(self._angles[0]) < needed:
            grid = torch.arange(2 * needed, device=positions.device).unsqueeze(0)
            cos, sin = self._rotary(self._embedding[:1], grid)
            half = self._depth // 2
            self._angles = cos[0, :, :half].clone(), sin[0, :, :half].clone()
        shape = (*positions.shape, 1, self._depth // 2)
        cos, sin = (table[positions.reshape(-1)].view(shape) for table in self._angles)
        return cos, sin


def is_lean(model: Any) -> bool:
    """Whether a transformers model is of a family that `LeanModel` computes."""
    config = model.config
    if config.model_type not in FAMILIES or getattr(config, "hidden_act", None) != "silu":
        return False
    kinds = getattr(config, "layer_types", None)
    if kinds is not None and set(kinds) != {"full_attention"}:
        return False
    if kinds is None and getattr(config, "sliding_window", None) is not None:
        return False
    rotary = getattr(config, "rope_parameters", None) or {}
    return rotary.get("rope_type", "default") in _ROTARY and rotary.get("partial_rotary_factor") in (
        None,
        1.0,
    )


class _Attention:
    """Attention of the tokens being fed to the prompt of their block, to their own row, and to each other."""

    def __init__(self, cache: LeanCache, count: int, scaling: float) -> None:
        self._cache, self._count, self._scaling = cache, count, scaling
        self._columns = cache.attended(count)
        self._is_first = cache.blocks.shape[-2] == 0 and cache.used == 0
        self._prompt_mask: Tensor | None = None
        self._own_mask: Tensor | None = None
        self._span_mask: Tensor | None = None
        if cache.cursor is not None and cache.starts.is_cuda:
            return  # there a kernel reads ages and lengths, and needs no mask
        own = torch.arange(self._columns, device=cache.starts.device)
        if not cache.has_even_blocks:
            seen = torch.arange(cache.blocks.shape[-2], device=own.device) < cache.block_lengths.unsqueeze(-1)
            self._prompt_mask = _additive(seen, cache.blocks.dtype)
        mine = cache.seen(own)
        if mine is not None:
            self._own_mask = _additive(mine, cache.blocks.dtype)
        if not self._is_first and count > 1:
            self._span_mask = self._visible(own)

    def __call__(self, layer: int, queries: Tensor) -> Tensor:
        """Attend.

        Args:
            layer: Its number.
            queries: Shape ``(b, q, heads, d)``.

        Returns:
            Shape ``(b, q, heads, d)``.
        """
        keys, values = self._cache.own(layer)[..., : self._columns, :]
        if self._count == 1 and not self._is_first:
            if queries.is_cuda and self._cache.cursor is not None:
                return self._step_on_gpu(layer, queries, self._cache.cursor)
            return self._step(layer, queries, keys, values)
        if not self._is_first:
            keys, values = self._with_prompt(layer, 0, keys), self._with_prompt(layer, 1, values)
        mixed = functional.scaled_dot_product_attention(
            queries.transpose(1, 2),
            keys,
            values,
            attn_mask=self._span_mask,
            is_causal=self._is_first,
            scale=self._scaling,
            enable_gqa=queries.shape[2] != keys.shape[1],
        )
        return mixed.transpose(1, 2)

    def _step_on_gpu(self, layer: int, queries: Tensor, cursor: Tensor) -> Tensor:
        cache = self._cache
        prompt = cache.blocks[layer]
        mixed = attention_step(
            queries[:, 0], cache.own(layer), cache.starts, cursor, prompt, cache.block_lengths, self._scaling
        )
        return mixed.unsqueeze(1)

    def _step(self, layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """One token a row: a product with the prompt for all rows of a block at once."""
        rows, _, heads, depth = queries.shape
        key_heads, prompt = keys.shape[1], self._cache.blocks[layer]
        length, group = prompt.shape[-2], heads // key_heads
        scaled = queries.reshape(rows, key_heads, group, depth) * self._scaling
        weights: Tensor = scaled.new_empty((rows, key_heads, group, length + self._columns))
        if length:
            self._attend_prompt(scaled, prompt[0].transpose(-1, -2), weights[..., :length], beta=0)
            if self._prompt_mask is not None:
                seen = self._prompt_mask.repeat_interleave(self._cache.rows_per_block, dim=0)
                weights[..., :length] += seen.view(rows, 1, 1, length)
        flat_keys, flat_values = keys.flatten(0, 1), values.flatten(0, 1)
        own = torch.bmm(scaled.view(rows * key_heads, group, depth), flat_keys.transpose(1, 2))
        own = own.view(rows, key_heads, group, self._columns)
        if self._own_mask is not None:
            own += self._own_mask.view(rows, 1, 1, self._columns)
        weights[..., length:] = own
        weights = weights.softmax(dim=-1)
        mixed = torch.bmm(weights[..., length:].flatten(0, 1), flat_values)
        mixed = mixed.view(rows, key_heads, group, depth)
        if length:
            self._attend_prompt(weights[..., :length], prompt[1], mixed, beta=1)
        return mixed.view(rows, 1, heads, depth)

    def _attend_prompt(self, rows: Tensor, prompt: Tensor, out: Tensor, *, beta: int) -> None:
        """Products of rows with their blocks' prompts, onto `beta` times what `out` holds.

        Args:
            rows: Shape ``(n * r, heads, group, k)``.
            prompt: Shape ``(n, heads, k, m)``.
            out: Shape ``(n * r, heads, group, m)``.
            beta: 0 or 1.
        """
        blocks, key_heads, inner, outer = prompt.shape
        each, group = len(rows) // blocks, rows.shape[2]
        if group == 1 and each >= _WIDE_BLOCK:
            # A head's rows stand apart in memory as those of a matrix may: nothing need be copied.
            for number in range(blocks):
                mine = slice(number * each, (number + 1) * each)
                place = out[mine, :, 0].transpose(0, 1)
                place.baddbmm_(rows[mine, :, 0].transpose(0, 1), prompt[number], beta=beta)
            return
        together = rows.view(blocks, each, key_heads, group, inner).transpose(1, 2)
        together = together.reshape(blocks * key_heads, each * group, inner)
        found = torch.bmm(together, prompt.flatten(0, 1))
        found = found.view(blocks, key_heads, each, group, outer).transpose(1, 2)
        place = out.view(blocks, each, key_heads, group, outer)
        if beta:
            place.add_(found)
        else:
            place.copy_(found)

    def _with_prompt(self, layer: int, side: int, own: Tensor) -> Tensor:
        prompt = self._cache.blocks[layer, side]
        blocks, *shape = prompt.shape
        each = len(own) // blocks
        rows = prompt.unsqueeze(1).expand(blocks, each, *shape).reshape(len(own), *shape)
        return torch.cat([rows, own], dim=-2)

    def _visible(self, own: Tensor) -> Tensor:
        """What each of several tokens sees: its prompt, and its row up to itself. Shape ``(b, 1, q, k)``."""
        cache = self._cache
        length, device = cache.blocks.shape[-2], own.device
        prompt = torch.arange(length, device=device) < cache.block_lengths.unsqueeze(-1)
        latest = cache.used + torch.arange(self._count, device=device)
        causal = own <= latest.unsqueeze(-1)
        if cache.has_even_blocks and cache.has_even_rows:
            if own.is_cuda:  # there a kernel skips what is not seen, where no mask is written out
                from torch.nn.attention.bias import causal_lower_right  # with half of torch's compiler

                return causal_lower_right(self._count, length + self._columns)
            return torch.cat([causal.new_ones((self._count, length)), causal], dim=-1)[None, None]
        rows = prompt.repeat_interleave(cache.rows_per_block, dim=0)[:, None].expand(-1, self._count, -1)
        mine = causal & (own >= cache.starts.unsqueeze(-1))[:, None]
        return torch.cat([rows, mine], dim=-1)[:, None]


def _additive(seen: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, float("-inf"))


def _layer(layer: Any, adapter: str | None) -> _Layer:
    attention, mlp = layer.self_attn, layer.mlp
    query_norm, key_norm = getattr(attention, "q_norm", None), getattr(attention, "k_norm", None)
    return _Layer(
        before_attention=layer.input_layernorm.weight.detach(),
        attention_in=stack([attention.q_proj, attention.k_proj, attention.v_proj], adapter),
        query_norm=None if query_norm is None else query_norm.weight.detach(),
        key_norm=None if key_norm is None else key_norm.weight.detach(),
        attention_out=stack([attention.o_proj], adapter),
        before_mlp=layer.post_attention_layernorm.weight.detach(),
        mlp_in=stack([mlp.gate_proj, mlp.up_proj], adapter),
        mlp_out=stack([mlp.down_proj], adapter),
    )
