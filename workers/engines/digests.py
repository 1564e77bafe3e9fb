"""What a model folder is, by content. Standard library only: the reconciler scans folders without torch."""

import hashlib
import json
import math
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_BLOCK = 1 << 20
# Ids come from these when there is no tokenizer.json.
_VOCABULARY_FILES = (
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "spiece.model",
    "tokenizer.model",
    "sentencepiece.bpe.model",
    "added_tokens.json",
    "special_tokens_map.json",
)
_ADDITIONS = {"added_tokens.json", "special_tokens_map.json"}
# A safetensors header larger than this is refused by the format's own library.
_MAX_HEADER_BYTES = 100_000_000


def weights_digest(folder: Path) -> str:
    """Digest of the weights, the configuration, and the end tokens `generation_config.json` adds.

    Args:
        folder: A model folder.

    Returns:
        64 hex digits.

    Raises:
        FileNotFoundError: if there is no config.json or no safetensors file.
    """
    files = _safetensors(folder)
    if not files:
        raise FileNotFoundError(f"no *.safetensors in {folder.name}")
    parts = [(file.name, _file_sha256(file)) for file in files]
    parts.append(("config.json", _file_sha256(folder / "config.json")))
    extra = read_json(folder / "generation_config.json").get("eos_token_id")
    parts.append(("generation_config.eos_token_id", _canonical_sha256(extra)))
    return _framed(parts)


def adapter_digest(folder: Path) -> str:
    """Digest of an adapter's weights and configuration: 64 hex digits.

    Raises:
        FileNotFoundError: if one of the two is missing.
    """
    names = ("adapter_config.json", "adapter_model.safetensors")
    return _framed((name, _file_sha256(folder / name)) for name in names)


def model_key(weights: str, adapter: str | None) -> str:
    """What a shard names a model by: equal keys are one law, and are resident together."""
    return weights if adapter is None else f"{weights}+{adapter}"


def tokenizer_digest(folder: Path) -> str:
    """Digest of what maps text to ids and back; chat templates are no part of it.

    `tokenizer.json` decides alone where it exists, without its saved padding and truncation, which are
    settings of a call. So a base model and its chat-tuned copy agree although their templates differ.

    Args:
        folder: A model folder.

    Returns:
        64 hex digits.

    Raises:
        FileNotFoundError: if the folder holds no tokenizer.
    """
    fast = folder / "tokenizer.json"
    if fast.is_file():
        content = read_json(fast)
        content.pop("padding", None)
        content.pop("truncation", None)
        return _framed([("tokenizer.json", _canonical_sha256(content))])
    present = [name for name in _VOCABULARY_FILES if (folder / name).is_file()]
    if not set(present) - _ADDITIONS:
        raise FileNotFoundError(f"no tokenizer files in {folder.name}")
    return _framed((name, _file_sha256(folder / name)) for name in present)


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder brings a tokenizer, as an adapter's may and may not."""
    named = ("tokenizer.json", *_VOCABULARY_FILES)
    return any((folder / name).is_file() for name in named if name not in _ADDITIONS)


def parameter_count(folder: Path) -> int:
    """Number of stored parameters, read from the safetensors headers; tied weights count once.

    Raises:
        ValueError: if a header is malformed.
    """
    return sum(_header_parameters(file) for file in _safetensors(folder))


def context_length(folder: Path) -> int | None:
    """The longest sequence the configuration allows, in tokens; None if it names no limit."""
    config = read_json(folder / "config.json")
    for name in ("max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length"):
        value = config.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object, or an empty one if the file is absent.

    Raises:
        ValueError: if the file is not a JSON object.
    """
    if not file.is_file():
        return {}
    value = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(value, dict):
        raise ValueError(f"{file.name} is not a JSON object")
    return value


def _safetensors(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*.safetensors") if file.is_file())


def _header_parameters(file: Path) -> int:
    with file.open("rb") as stream:
        prefix = stream.read(8)
        if len(prefix) < 8:
            raise ValueError(f"{file.name} is not a safetensors file")
        (length,) = struct.unpack("<Q", prefix)
        if length > _MAX_HEADER_BYTES:
            raise ValueError(f"{file.name} has a header of {length} bytes")
        try:
            header = json.loads(stream.read(length))
            shapes = [entry["shape"] for name, entry in header.items() if name != "__metadata__"]
        except (AttributeError, KeyError, TypeError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise ValueError(f"{file.name} has a malformed header") from error
    return sum(math.prod(shape) for shape in shapes)


def _file_sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _canonical_sha256(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _framed(parts: Iterable[tuple[str, str]]) -> str:
    lines = "".join(f"{name}\0{digest}\n" for name, digest in parts)
    return hashlib.sha256(lines.encode("utf-8")).hexdigest()
