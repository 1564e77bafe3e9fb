"""Which LoRA adapter folders may be attached to a base. Standard library only, so a scan costs nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from workers.engines.digests import has_tokenizer, read_json, tokenizer_digest
from workers.engines.errors import UnsupportedModel
from workers.engines.model_folder import inert_folder

CONFIGURATION: Final = "adapter_config.json"
WEIGHTS: Final = "adapter_model.safetensors"

_FORWARDED: Final = (
    "r",
    "lora_alpha",
    "rank_pattern",
    "alpha_pattern",
    "fan_in_fan_out",
    "use_rslora",
    "use_dora",
    "lora_bias",
)
# What these say is about training, about where files lie, or about how PEFT would find a class by import.
_IGNORED: Final = frozenset(
    {
        "peft_type",
        "task_type",
        "auto_mapping",
        "peft_version",
        "base_model_name_or_path",
        "revision",
        "inference_mode",
        "lora_dropout",
        "init_lora_weights",
        "megatron_core",
        "runtime_config",
        "qalora_group_size",
        "target_modules",
        "exclude_modules",
        "layers_to_transform",
        "layers_pattern",
        "ensure_weight_tying",
    }
)
# The others (PiSSA, OLoRA, LoftQ, ...) start by changing the base: their adapters belong to another base.
_PLAIN_STARTS: Final = (None, True, False, "gaussian", "orthogonal")


@dataclass(frozen=True)
class AdapterFolder:
    """An adapter that can be attached.

    Attributes:
        folder: With links resolved.
        settings: Arguments of PEFT's LoraConfig that shape the law; which modules it changes is read off the
            weights.
        has_tokenizer: Whether the folder brings the tokenizer, and so perhaps a chat template, of its own.
    """

    folder: Path
    settings: Mapping[str, Any]
    has_tokenizer: bool


def checked_adapter(path: Path, root: Path | None = None, *, base_tokenizer: str) -> AdapterFolder:
    """An adapter's settings, once everything in its folder is known to be inert.

    Args:
        path: The adapter folder.
        root: Where folders may lie; links may not lead out of it. The folder itself if None.
        base_tokenizer: Tokenizer digest of its base.

    Raises:
        UnsafeModelFolder: if it leads outside `root`, or holds pickled weights or code.
        UnsupportedModel: if it is no LoRA adapter, changes more than linear layers, or brings a tokenizer
            that maps text to other ids than its base's.
    """
    folder = inert_folder(path, root)
    settings = _settings(_configuration(folder))
    if not (folder / WEIGHTS).is_file():
        raise UnsupportedModel(f"no {WEIGHTS}")
    brings_tokenizer = has_tokenizer(folder)
    if brings_tokenizer and tokenizer_digest(folder) != base_tokenizer:
        raise UnsupportedModel(
            "its tokenizer differs from its base's, so its embeddings do too; merge it into its base and "
            "register the merged model"
        )
    return AdapterFolder(folder, settings, brings_tokenizer)


def _configuration(folder: Path) -> dict[str, Any]:
    try:
        return read_json(folder / CONFIGURATION)
    except ValueError as error:
        raise UnsupportedModel(f"{CONFIGURATION} is not a JSON object") from error


def _settings(configuration: Mapping[str, Any]) -> dict[str, Any]:
    kind, task = configuration.get("peft_type"), configuration.get("task_type")
    if kind != "LORA":
        raise UnsupportedModel(f"{CONFIGURATION} is of type {kind!r}; only LORA adapters are run")
    if task not in (None, "CAUSAL_LM"):
        raise UnsupportedModel(f"an adapter for {task} is not one of a causal language model")
    if configuration.get("init_lora_weights") not in _PLAIN_STARTS:
        raise UnsupportedModel(
            f"its initialisation ({configuration['init_lora_weights']}) changes the base's weights; merge it "
            "into its base and register the merged model"
        )
    if configuration.get("modules_to_save"):
        raise UnsupportedModel(
            "it replaces whole modules (modules_to_save); merge it into its base, and register the result"
        )
    if configuration.get("bias") not in (None, "none"):
        raise UnsupportedModel("it changes biases of its base; merge it and register the merged model")
    known = {*_FORWARDED, *_IGNORED, "modules_to_save", "bias"}
    others = sorted(name for name, value in configuration.items() if name not in known and value)
    if others:
        raise UnsupportedModel(f"{CONFIGURATION} asks for {', '.join(others)}, which is not supported")
    return {name: configuration[name] for name in _FORWARDED if configuration.get(name) is not None}
