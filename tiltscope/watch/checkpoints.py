"""Checkpoints in a folder: which are whole, and in which order they were trained."""

import json
import re
import struct
from dataclasses import dataclass
from pathlib import Path

SHARD = re.compile(r".*-\d+-of-(\d+)\.safetensors")
MAX_HEADER_BYTES = 100_000_000
"""What the safetensors format allows."""


@dataclass(frozen=True, slots=True)
class Print:
    """What a folder's files look like from outside: while it changes, somebody writes.

    Attributes:
        files: Name, size and time of change of each.
    """

    files: tuple[tuple[str, int, int], ...]

    @classmethod
    def of(cls, folder: Path) -> "Print":
        """The present state of a folder."""
        found = []
        for file in sorted(folder.iterdir()):
            status = file.stat()
            found.append((file.name, status.st_size, status.st_mtime_ns))
        return cls(tuple(found))


def found_in(folder: Path) -> list[Path]:
    """Sub-folders that hold a model's configuration, in training order: by the numbers in their names."""
    folders = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    return sorted((path for path in folders if (path / "config.json").is_file()), key=training_order)


def training_order(folder: Path) -> tuple[tuple[int, int, str], ...]:
    """`step-9` before `step-10`."""
    parts = re.split(r"(\d+)", folder.name)
    return tuple((1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts if part)


def what_is_missing(folder: Path) -> str | None:
    """Why a checkpoint cannot be analysed yet; None if it is whole.

    Trainers write the files of a checkpoint one after the other, so that each is looked into: a safetensors
    file says in its header how long it must be.
    """
    try:
        json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "config.json is not whole"
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        return "there are no weights"
    for name in sorted(_expected(folder, weights)):
        if not (folder / name).is_file():
            return f"{name} is missing"
    for file in weights:
        if not _is_whole(file):
            return f"{file.name} is not whole"
    return None


def _expected(folder: Path, weights: list[Path]) -> set[str]:
    """Names of the shards that there must be."""
    names = {file.name for file in weights}
    for file in weights:
        if match := SHARD.fullmatch(file.name):
            total, digits = int(match[1]), match[1]
            stem = file.name[: file.name.rindex(f"-of-{digits}") - len(digits)]
            names |= {f"{stem}{n:0{len(digits)}}-of-{digits}.safetensors" for n in range(1, total + 1)}
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:
            names |= set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        except (OSError, ValueError, KeyError, AttributeError):
            names.add(f"{index.name} (whole)")
    return names


def _is_whole(file: Path) -> bool:
    size = file.stat().st_size
    if size < 8:
        return False
    with file.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        if length > min(MAX_HEADER_BYTES, size - 8):
            return False
        try:
            header = json.loads(stream.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            return False
    return bool(size == 8 + length + max(ends, default=0))
