"""Loading a model folder: offline, safetensors only, no code but ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig, AutoModelForCausalLM, AutoTokenizer

from workers.engines.causal_model import ModelIdentity
from workers.engines.digests import context_length, read_json, tokenizer_digest, weights_digest
from workers.engines.errors import UnsupportedModel
from workers.engines.model_folder import checked_folder, inert_folder
from workers.engines.transformers_engine import TransformersEngine
from workers.errors import WorkerError

_OFFLINE = {"local_files_only": True, "trust_remote_code": False}
_SPEAKING = (OSError, ValueError, RuntimeError, ImportError, SafetensorError)
"""Errors whose message says enough."""


def load_engine(
    path: Path,
    *,
    root: Path | None = None,
    device: str = "cpu",
    dtype: torch.dtype | None = None,
    identity: ModelIdentity | None = None,
) -> TransformersEngine:
    """Load tokenizer and weights of a local folder.

    Of `generation_config.json` only the end tokens are read; its temperature, top-k and the rest never act.

    Args:
        path: The model folder.
        root: Where model folders may lie; links may not lead out of it. The folder itself if None.
        device: `cpu` or `cuda`.
        dtype: Of the weights. By default float32 on the CPU and bfloat16 on CUDA; the head always is at
            least float32.
        identity: The digests if they are known; otherwise every weight is read once more to hash it.

    Raises:
        UnsafeModelFolder: if loading would run code or read outside `root`.
        UnsupportedModel: if the exact law of this model cannot be computed.
    """
    folder = checked_folder(path, root)
    precision = dtype or (torch.bfloat16 if torch.device(device).type == "cuda" else torch.float32)
    with _refusing(folder, "it"):
        tokenizer, model = _read(folder, precision)
    if identity is None:
        identity = ModelIdentity(weights_digest(folder), tokenizer_digest(folder))
    model.to(device).eval()
    ends = end_tokens(folder, tokenizer)
    return TransformersEngine(model, tokenizer, ends, context_length(folder), identity)


def load_tokenizer(path: Path, *, root: Path | None = None) -> Any:
    """The tokenizer of a local folder alone, a model's or an adapter's.

    Raises:
        UnsafeModelFolder: as `load_engine`.
        UnsupportedModel: transformers cannot load it.
    """
    folder = inert_folder(path, root)
    with _refusing(folder, "its tokenizer"):
        return AutoTokenizer.from_pretrained(folder, **_OFFLINE)


@contextmanager
def _refusing(folder: Path, what: str) -> Iterator[None]:
    """What transformers raises while it reads a folder says that it cannot load it, a KeyError too."""
    try:
        yield
    except (WorkerError, MemoryError):
        raise
    except Exception as error:
        # The message may name the folder: where models lie is no business of a client.
        detail = str(error).replace(str(folder), folder.name).strip().partition("\n")[0]
        named = detail if isinstance(error, _SPEAKING) else f"{type(error).__name__}: {detail}"
        raise UnsupportedModel(f"transformers cannot load {what}: {named}") from error


def _read(folder: Path, precision: torch.dtype) -> tuple[Any, Any]:
    config = AutoConfig.from_pretrained(folder, **_OFFLINE)
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise UnsupportedModel(f"{config.model_type} is not a causal language model")
    tokenizer = AutoTokenizer.from_pretrained(folder, **_OFFLINE)
    # Named here so that no value in config.json chooses the kernel; soft-capped attention has no fused one.
    fused = getattr(MODEL_FOR_CAUSAL_LM_MAPPING[type(config)], "_supports_sdpa", False)
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        folder,
        config=config,
        dtype=precision,
        use_safetensors=True,
        attn_implementation="sdpa" if fused else "eager",
        output_loading_info=True,
        **_OFFLINE,
    )
    model, info = loaded
    if info["missing_keys"]:
        # They would have been drawn at random.
        raise UnsupportedModel(f"weights are missing, {min(info['missing_keys'])} among them")
    return tokenizer, model


def end_tokens(folder: Path, tokenizer: Any) -> frozenset[int]:
    """Every id that the tokenizer, config.json or generation_config.json calls EOS."""
    named: list[object] = [tokenizer.eos_token_id]
    for name in ("config.json", "generation_config.json"):
        value = read_json(folder / name).get("eos_token_id")
        named.extend(value if isinstance(value, list) else [value])
    return frozenset(token for token in named if isinstance(token, int) and not isinstance(token, bool))
