"""One loaded language model: prefixes, continuations, logits and text."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import DynamicCache

from workers.engines.errors import NonFiniteLogits, PromptTooLong, UnsupportedModel
from workers.engines.exclusion import EDGE_TOLERANCE
from workers.engines.lean_cache import LeanCache, continued
from workers.engines.lean_linear import NotPlain
from workers.engines.lean_model import LeanModel, is_lean
from workers.engines.prefix_memory import Prefix, PrefixMemory
from workers.engines.products import multiplies_wide, product, wide_product
from workers.engines.state_memory import StateMemory

# The head applied apart from the model must give the model's own logits, up to rounding of their scale.
_HEAD_TOLERANCE: dict[torch.dtype, float] = {torch.float64: 1e-9, torch.float32: 1e-4}
_HALF_HEAD_TOLERANCE = 5e-2

_HEAD_ELEMENTS = {False: 6 << 20, True: 64 << 20}
"""Logits that exist at a time, on a CPU and on a GPU: 24 and 256 MB in float32, and enough rows for the head
to run at full speed."""


@dataclass(frozen=True)
class ModelIdentity:
    """What the weights and the tokenizer are, by content; see `digests`."""

    weights_digest: str
    tokenizer_digest: str
    adapter_digest: str | None = None


class AdapterSwitch(Protocol):
    """Which of a base's adapters acts; see `adapters.AttachedAdapters`."""

    def use(self, name: str | None) -> None:
        """Make one adapter act, or none."""

    def attach(self, name: str, adapter: Any) -> None:
        """Add an adapter."""

    def detach(self, name: str) -> None:
        """Remove an adapter."""


class CausalModel:
    """A transformers causal language model in evaluation mode, with the exact rules of a completion.

    Args:
        model: The transformers model, on its device.
        tokenizer: Its tokenizer.
        eos_ids: Tokens that end a completion.
        context_length: Longest sequence, or None.
        identity: Digests.
        adapters: Adapters attached to `model`; None as long as there is none.
        adapter: The one whose law this is; None for the base alone.
        head: The head's weights as another engine of the same model holds them.

    Raises:
        UnsupportedModel: if logits are more than a linear head (and soft cap) on the last hidden state, or
            the model keeps recurrent state.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        eos_ids: frozenset[int],
        context_length: int | None,
        identity: ModelIdentity,
        *,
        adapters: AdapterSwitch | None = None,
        adapter: str | None = None,
        head: Tensor | None = None,
    ) -> None:
        self.model = model
        self.adapters = adapters
        self.adapter = adapter
        self.tokenizer = tokenizer
        self.eos_ids = eos_ids
        self.context_length = context_length
        self.identity = identity
        self.prefixes = PrefixMemory()
        self.states = StateMemory()
        self.records_steps = True  # where the device does
        self._room: Tensor | None = None
        self.dtype: torch.dtype = model.dtype
        self.device: torch.device = model.device
        self.edge_tolerance = EDGE_TOLERANCE[self.dtype]
        # transformers 5.24 renamed the argument, and warns of the old name.
        accepted = inspect.signature(model.base_model.forward).parameters
        self._cache_argument = "cache" if "cache" in accepted else "past_key_values"
        self._softcap: float | None = getattr(model.config, "final_logit_softcapping", None)
        output = model.get_output_embeddings()
        # A head that gives half precision rounds logits near 12 nats to 1/16: it gives float32 always.
        wide = torch.promote_types(self.dtype, torch.float32)
        weight = output.weight.detach()
        self._multiplies_wide = multiplies_wide(weight)
        if head is None:
            head = weight if self._multiplies_wide else weight.to(wide)
        self.head: Tensor = head
        bias = getattr(output, "bias", None)
        self._bias: Tensor | None = None if bias is None else bias.detach().to(wide)
        self.parameters: int = sum(
            parameter.numel()
            for name, parameter in model.named_parameters()
            if ".lora_" not in name or (adapter is not None and f".{adapter}" in name)
        )
        self.embedded_tokens: int = model.get_input_embeddings().weight.shape[0]
        # Rows of the head beyond the tokenizer pad the matrix: no text has them, so no law gives them mass.
        self.vocabulary_size: int = min(self.head.shape[0], max(tokenizer.get_vocab().values()) + 1)
        self._check_architecture()
        self._lean = self._own_forward()

    @property
    def token_bytes(self) -> int:
        """Bytes that keys and values of a token take, over all layers."""
        config = self.model.config
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        depth = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        return int(2 * config.num_hidden_layers * heads * depth * self.dtype.itemsize)

    @property
    def is_lean(self) -> bool:
        """Whether this model computes by `LeanModel`, which found the numbers of transformers' forward."""
        return self._lean is not None

    @property
    def head_rows(self) -> int:
        """Hidden states whose logits exist together."""
        return max(16, _HEAD_ELEMENTS[self.device.type == "cuda"] // self.vocabulary_size)

    def read(self, prompt_ids: Sequence[int]) -> Prefix:
        """Run the prompt once; it is kept, so do not extend its cache.

        Args:
            prompt_ids: At least one token id.

        Raises:
            PromptTooLong: if the prompt alone fills the context.
            ValueError: if the prompt is empty or names a token the model does not have.
        """
        if not prompt_ids or not 0 <= min(prompt_ids) <= max(prompt_ids) < self.embedded_tokens:
            raise ValueError("a prompt needs at least one token, and only tokens of the model")
        self.check_room(len(prompt_ids), 1)
        if (known := self.prefixes.get(prompt_ids)) is not None:
            return known
        ids = torch.tensor([list(prompt_ids)], dtype=torch.long, device=self.device)
        cache = self._lean.empty_cache() if self._lean else DynamicCache(config=self.model.config)
        # The last state alone: a view would keep those of all tokens.
        prefix = Prefix(len(prompt_ids), cache, self.extend(cache, ids)[:, -1].clone())
        self.prefixes.keep(prompt_ids, prefix)
        return prefix

    def check_room(self, prompt_length: int, new_tokens: int) -> None:
        """Raise PromptTooLong unless prompt and completion fit the context."""
        if self.context_length is not None and prompt_length + new_tokens > self.context_length:
            raise PromptTooLong(
                f"{prompt_length} prompt tokens and {new_tokens} new tokens exceed the context of "
                f"{self.context_length} tokens"
            )

    @torch.inference_mode()
    def extend(self, cache: DynamicCache | LeanCache, token_ids: Tensor) -> Tensor:
        """Feed tokens after what the cache holds; the cache grows.

        Args:
            cache: Keys and values of batch size b.
            token_ids: Shape ``(b, q)``.

        Returns:
            Final hidden states. Shape ``(b, q, h)``.
        """
        if isinstance(cache, LeanCache):
            assert self._lean is not None
            return self._lean.extend(cache, token_ids)
        if self.adapters is not None:
            self.adapters.use(self.adapter)
        seen = cache.get_seq_length()
        positions = torch.arange(seen, seen + token_ids.shape[1], device=self.device).unsqueeze(0)
        output = self.model.base_model(
            input_ids=token_ids, position_ids=positions, use_cache=True, **{self._cache_argument: cache}
        )
        hidden: Tensor = output.last_hidden_state
        return hidden

    @torch.inference_mode()
    def scores(self, hidden: Tensor, *, in_room: bool = False, checked: bool = True) -> Tensor:
        """Scores over the tokenizer's vocabulary, in float32 at least.

        Args:
            hidden: Final hidden states. Shape ``(..., h)``.
            in_room: Whether they are written where the last ones so asked for stood. A block as large as
                this, freed and asked for anew, would each time be found to be in use in part.
            checked: Whether to look at them, for which a GPU must be waited for.

        Raises:
            NonFiniteLogits: if a score is NaN or +inf, and they are checked.
        """
        scores = self._scores(hidden, self.vocabulary_size, in_room)
        # One reduction finds both: NaN propagates through a maximum.
        if checked and scores.numel() and not bool(scores.amax().isfinite()):
            raise NonFiniteLogits("the model returned logits that are NaN or infinite")
        return scores

    def logits(self, hidden: Tensor) -> Tensor:
        """`scores` in float64, so that no further rounding enters the law. Shape ``(..., v)``."""
        return self.scores(hidden).double()

    def text(self, token_ids: Sequence[int]) -> str:
        """The text of a completion, special tokens left out."""
        decoded: str = self.tokenizer.decode(list(token_ids), skip_special_tokens=True)
        return decoded

    def is_same_law(self, other: "CausalModel") -> bool:
        """Whether two engines compute the same numbers: one object, or equal content, precision, device."""
        mine = (self.identity, self.dtype, self.device, self.eos_ids)
        return self is other or mine == (other.identity, other.dtype, other.device, other.eos_ids)

    def _scores(self, hidden: Tensor, rows: int | None = None, in_room: bool = False) -> Tensor:
        head = self.head[:rows]
        flat = hidden.reshape(-1, hidden.shape[-1]).to(self.head.dtype)
        if self._multiplies_wide:
            scores = wide_product(flat, head)
        else:
            in_room = in_room and not flat.is_cuda  # there memory is kept by an allocator of its own
            out = self._room_for(len(flat)) if in_room else flat.new_empty((len(flat), len(head)))
            scores = product(flat, head, out)
        scores = scores.view(*hidden.shape[:-1], len(head))
        if self._bias is not None:
            scores += self._bias[:rows]
        if self._softcap is not None:
            scores = scores.div_(self._softcap).tanh_().mul_(self._softcap)
        return scores

    def _room_for(self, rows: int) -> Tensor:
        """Memory for so many rows of scores, the same as long as they fit. Shape ``(rows, v)``."""
        if self._room is None or len(self._room) < rows:
            self._room = None  # before the larger one exists
            self._room = self.head.new_empty((rows, self.vocabulary_size))
        return self._room[:rows]

    @torch.inference_mode()
    def _check_architecture(self) -> None:
        ids = self._probe_ids()
        cache = DynamicCache(config=self.model.config)
        if not all(hasattr(layer, "batch_select_indices") for layer in cache.layers):
            raise UnsupportedModel("the model keeps recurrent state")
        mine = self._scores(self.extend(cache, ids))
        own = self.model(input_ids=ids, use_cache=False).logits.to(mine.dtype)
        if not self._are_equal(mine, own):
            raise UnsupportedModel("the logits are not a linear head on the last hidden state")

    def _own_forward(self) -> LeanModel | None:
        """The model's own forward, if there is one for its family and it gives transformers' numbers."""
        if not is_lean(self.model):
            return None
        try:
            lean = LeanModel(self.model, self.adapter)
        except (NotPlain, AttributeError):
            return None
        ids = self._probe_ids()
        with torch.inference_mode():
            stock = DynamicCache(config=self.model.config)
            want = self._scores(self.extend(stock, ids))
            # A prompt, then several tokens at once, then one: every way in which rows are extended.
            cut = max(1, ids.shape[1] // 2)
            prompt = lean.empty_cache()
            parts = [lean.extend(prompt, ids[:, :cut])]
            cache = continued(prompt, 2, ids.shape[1])
            rest = [part for part in (ids[:, cut:-1], ids[:, max(cut, ids.shape[1] - 1) :]) if part.shape[1]]
            parts += [lean.extend(cache, part.expand(2, -1))[1:] for part in rest]
            got = self._scores(torch.cat(parts, dim=1))
        return lean if self._are_equal(got, want) else None

    def _probe_ids(self) -> Tensor:
        return torch.arange(min(8, self.embedded_tokens), device=self.device).unsqueeze(0)

    def _are_equal(self, mine: Tensor, own: Tensor) -> bool:
        tolerance = _HEAD_TOLERANCE.get(self.dtype, _HALF_HEAD_TOLERANCE) * float(own.abs().amax())
        return own.shape == mine.shape and torch.allclose(mine, own, rtol=0, atol=tolerance)
