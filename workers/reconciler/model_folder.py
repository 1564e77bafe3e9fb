"""What the registry knows of one model folder."""

import re
from pathlib import Path
from typing import Any, Final

from api_schemas.model_ids import MODEL_ID
from workers.engines.adapter_folder import checked_adapter
from workers.engines.digests import (
    adapter_digest,
    context_length,
    parameter_count,
    read_json,
    tokenizer_digest,
    weights_digest,
)
from workers.engines.model_folder import checked_folder
from workers.errors import WorkerError

Record = dict[str, Any]
"""Columns of ``ledger.tables.models``."""

MARKS: Final = ("config.json", "adapter_config.json")


def is_candidate(folder: Path) -> bool:
    """Whether a folder means to be a model: it has a configuration or weights, and is not hidden."""
    if folder.name.startswith(".") or not folder.is_dir():
        return False
    return any((folder / name).is_file() for name in MARKS) or any(folder.glob("*.safetensors"))


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter, which is nothing without its base."""
    return (folder / "adapter_config.json").is_file()


def model_record(folder: Path, root: Path) -> Record:
    """Read and hash a model folder.

    Args:
        folder: A sub-folder of `root`.
        root: Where links in it may lead at most.

    Returns:
        A record whose state is ``ready``, or ``invalid`` with the reason in ``error``.
    """
    record: Record = {"id": folder.name, "kind": "model", "path": str(folder)}
    try:
        _require_id(folder.name)
        checked_folder(folder, root)
        return record | {
            "weights_digest": weights_digest(folder),
            "tokenizer_digest": tokenizer_digest(folder),
            "architecture": _architecture(folder),
            "parameters": parameter_count(folder),
            "bytes": _weight_bytes(folder),
            "context_length": context_length(folder),
            "state": "ready",
        }
    except (WorkerError, OSError, ValueError) as error:
        return record | _invalid(error)


def adapter_record(folder: Path, root: Path, bases: dict[str, Record]) -> Record:
    """Read and hash an adapter folder.

    Args:
        folder: A sub-folder of `root`.
        root: Where links in it may lead at most.
        bases: Records of the models beside it, by id.

    Returns:
        A record that shares the weights digest and the tokenizer of its base.
    """
    record: Record = {"id": folder.name, "kind": "adapter", "path": str(folder)}
    try:
        _require_id(folder.name)
        name = read_json(folder / "adapter_config.json").get("base_model_name_or_path")
        if not isinstance(name, str) or not name:
            raise ValueError("adapter_config.json names no base model")
        record["base"] = Path(name).name
        base = bases.get(record["base"])
        if base is None or base["state"] != "ready":
            raise ValueError(f"its base {record['base']} is not a usable model of this registry")
        checked_adapter(folder, root, base_tokenizer=base["tokenizer_digest"])
        return record | {
            "weights_digest": base["weights_digest"],
            "tokenizer_digest": base["tokenizer_digest"],
            "context_length": base["context_length"],
            "architecture": base["architecture"],
            "adapter_digest": adapter_digest(folder),
            "parameters": parameter_count(folder),
            "bytes": _weight_bytes(folder),
            "state": "ready",
        }
    except (WorkerError, OSError, ValueError) as error:
        return record | _invalid(error)


def _require_id(name: str) -> None:
    if re.fullmatch(MODEL_ID, name) is None:
        raise ValueError("the folder's name cannot be an id: letters, digits, '.', '_' and '-' only")


def _invalid(error: Exception) -> Record:
    # An OSError names paths of the server, which are nobody's business.
    reason = (error.strerror or "unreadable") if isinstance(error, OSError) else str(error)
    if isinstance(error, FileNotFoundError) and error.filename is None:
        reason = str(error)
    return {"state": "invalid", "error": reason}


def _architecture(folder: Path) -> str | None:
    config = read_json(folder / "config.json")
    named = config.get("architectures")
    if isinstance(named, list) and named and isinstance(named[0], str):
        return named[0]
    kind = config.get("model_type")
    return kind if isinstance(kind, str) else None


def _weight_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))
