"""LoRA adapters attached to one resident base: a pair costs one model's memory.

Base and adapter share weights, never keys and values: whoever computes first says whose law it wants.
Adapters are left unmerged: merging and unmerging would round the base's weights, and the base's law with it.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch
from peft import LoraConfig, inject_adapter_in_model, set_peft_model_state_dict
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from workers.engines.adapter_folder import WEIGHTS, AdapterFolder
from workers.engines.causal_model import ModelIdentity
from workers.engines.errors import UnsupportedModel
from workers.engines.loading import load_tokenizer
from workers.engines.transformers_engine import TransformersEngine

_PREFIX: Final = "base_model.model."
_PARTS: Final = (".lora_A.", ".lora_B.", ".lora_magnitude_vector")


class AttachedAdapters:
    """The adapters of one transformers model, at most one of them acting.

    Args:
        model: The base; adapters are put into its linear layers.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._acting: str | None = None

    def use(self, name: str | None) -> None:
        """Make one adapter act, or none: then the layers compute exactly what the base alone would."""
        if name == self._acting:
            return
        for layer in self._layers():
            layer.enable_adapters(name is not None)
            if name is not None:
                layer.set_adapter(name, inference_mode=True)
        self._acting = name

    def attach(self, name: str, adapter: AdapterFolder) -> None:
        """Put an adapter's weights into the base; which one acts is settled at the next `use`.

        Raises:
            UnsupportedModel: if the weights do not fit the base, or change more than linear layers.
        """
        state = _weights(adapter)
        targets = sorted({_module(key) for key in state})
        self._check_targets(targets)
        config = LoraConfig(target_modules=targets, task_type="CAUSAL_LM", **adapter.settings)
        try:
            with _several_adapters_are_meant():
                inject_adapter_in_model(config, self._model, name)
            report: Any = set_peft_model_state_dict(self._model, dict(state), name)
        except (RuntimeError, ValueError, TypeError) as error:
            self.detach(name)
            detail = str(error).strip().partition("\n")[0]
            raise UnsupportedModel(f"the adapter does not fit its base: {detail}") from error
        astray = [key for key in report.missing_keys if f".{name}." in key] + list(report.unexpected_keys)
        if astray:
            self.detach(name)
            raise UnsupportedModel(f"the adapter does not fit its base at {min(astray)}")
        self._model.eval()
        for layer in self._layers():
            layer.enable_adapters(False)
        self._acting = None

    def detach(self, name: str) -> None:
        """Remove an adapter's weights; then none acts."""
        self.use(None)
        for layer in self._layers():
            if name in _names(layer):
                layer.set_adapter([])  # else PEFT picks another one in its place
                layer.delete_adapter(name)

    def _layers(self) -> list[Any]:
        return [module for module in self._model.modules() if isinstance(module, BaseTunerLayer)]

    def _check_targets(self, targets: list[str]) -> None:
        modules = dict(self._model.named_modules())
        ends = (self._model.get_output_embeddings(), self._model.get_input_embeddings())
        for target in targets:
            # A layer that carries an adapter already is a wrapper around the linear one.
            module = getattr(modules.get(target), "base_layer", modules.get(target))
            if module is None:
                raise UnsupportedModel(f"the adapter changes {target}, which its base does not have")
            if any(module is end for end in ends):
                raise UnsupportedModel(
                    f"the adapter changes {target}, the embedding or the output head; merge it into its base "
                    "and register the merged model"
                )


def attach_adapter(
    base: TransformersEngine, adapter: AdapterFolder, identity: ModelIdentity
) -> TransformersEngine:
    """An engine of the base with an adapter, on the base's weights.

    Args:
        base: The resident base.
        adapter: What to attach, as `checked_adapter` found it.
        identity: The pair's digests; the adapter's names it among the adapters of this base.

    Raises:
        UnsupportedModel: if the adapter does not fit its base.
    """
    if identity.adapter_digest is None:
        raise ValueError("an adapter has a digest")
    # Its own gives the same ids, and perhaps a chat template that the adapter was trained with.
    tokenizer = load_tokenizer(adapter.folder) if adapter.has_tokenizer else base.tokenizer
    if base.adapters is None:
        base.adapters = AttachedAdapters(base.model)
    name = identity.adapter_digest
    base.adapters.attach(name, adapter)
    try:
        return TransformersEngine(
            base.model,
            tokenizer,
            base.eos_ids,
            base.context_length,
            identity,
            adapters=base.adapters,
            adapter=name,
            head=base.head,
        )
    except UnsupportedModel:
        base.adapters.detach(name)
        raise


def detach_adapter(engine: TransformersEngine) -> None:
    """Free an adapter's weights; its engine is of no use afterwards."""
    if engine.adapters is not None and engine.adapter is not None:
        engine.adapters.detach(engine.adapter)


@contextmanager
def _several_adapters_are_meant() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Already found a `peft_config`")
        # Asked by PEFT of transformers, not by us.
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
        yield


def _weights(adapter: AdapterFolder) -> dict[str, Tensor]:
    try:
        state = load_file(adapter.folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise UnsupportedModel(f"{WEIGHTS} cannot be read") from error
    strangers = sorted(
        key for key in state if not key.startswith(_PREFIX) or not any(p in key for p in _PARTS)
    )
    if strangers or not state:
        found = f"has {strangers[0]}" if strangers else "is empty"
        raise UnsupportedModel(f"{WEIGHTS} {found}: only LoRA weights of linear layers are attached")
    if any(not torch.isfinite(tensor).all() for tensor in state.values()):
        raise UnsupportedModel(f"{WEIGHTS} holds values that are NaN or infinite")
    return state


def _module(key: str) -> str:
    inner = key.removeprefix(_PREFIX)
    return inner[: min(inner.index(part) for part in _PARTS if part in inner)]


def _names(layer: Any) -> set[str]:
    return {name for attribute in layer.adapter_layer_names for name in getattr(layer, attribute)}
