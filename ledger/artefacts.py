"""Immutable files on a local disk: complete and hashed before their name exists."""

import contextlib
import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from ledger.errors import ArtefactConflict, ArtefactCorrupt, ArtefactMissing, InvalidKey, StoreUnavailable

# No part starts with a dot, so neither ".." nor the folder of temporaries can be named.
_PART: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._:@+=-]*")
_CHUNK: Final = 1 << 20
_TEMPORARIES: Final = ".tmp"
_PROBE_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Stored:
    """What the ledger must remember of a file.

    Attributes:
        key: Its name, relative to the store.
        sha256: Hash of its bytes, in hex.
        bytes: Its size.
    """

    key: str
    sha256: str
    bytes: int


def shard_key(shard: Mapping[str, Any], epoch: int, suffix: str = "parquet") -> str:
    """Name of a shard's artefact.

    The epoch is part of it: sampling on a GPU is not bit-stable, and a holder that lost its lease
    must not be able to put other bytes under a committed name.
    """
    place = f"{shard['tenant_id']}/{shard['analysis_id']}"
    return f"{place}/r{shard['round']:03d}-s{shard['idx']:05d}-{shard['work']}.e{epoch}.{suffix}"


class ArtefactStore:
    """Artefacts below one folder of a file system that has hard links."""

    def __init__(self, root: Path) -> None:
        """Use ``root``, which is made if it is missing, now or, on a disk that refuses, at a later write."""
        self.root = root.resolve()
        self._temporaries = self.root / _TEMPORARIES
        with contextlib.suppress(OSError):
            self._temporaries.mkdir(parents=True, exist_ok=True)

    def put(self, key: str, data: bytes | Path) -> Stored:
        """Store bytes, or a copy of a file, under a new name.

        Written and fsynced under a temporary name, then linked: a reader sees all of it or nothing,
        and unlike a rename the link never replaces a file.

        Raises:
            InvalidKey: if the key could leave the store.
            ArtefactConflict: if the key already holds other bytes.
            StoreUnavailable: if the disk is full or read-only; nothing is visible then.
        """
        target = self.path_of(key)
        temporary = self._temporaries / uuid4().hex
        try:
            digest, size = self._write_and_link(temporary, target, data)
        except OSError as error:
            raise StoreUnavailable(f"the artefact disk refuses: {_reason(error)}") from error
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        return Stored(key=key, sha256=digest, bytes=size)

    def open_verified(self, key: str, sha256: str) -> bytes:
        """The bytes of an artefact.

        Raises:
            InvalidKey: if the key could leave the store.
            ArtefactMissing: if it is not there.
            ArtefactCorrupt: if its bytes do not have the hash.
        """
        try:
            content = self.path_of(key).read_bytes()
        except FileNotFoundError as error:
            raise ArtefactMissing(f"{key} is not in the store") from error
        except OSError as error:
            raise StoreUnavailable(f"the artefact disk refuses: {_reason(error)}") from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise ArtefactCorrupt(f"{key} does not have the recorded hash")
        return content

    def path_of(self, key: str) -> Path:
        """Where an artefact lies, or would.

        Raises:
            InvalidKey: if the key is absolute, has a part like ``..``, or leads out through a link.
        """
        require_key(key)
        path = self.root / key
        if not path.resolve().is_relative_to(self.root):
            raise InvalidKey(f"{key!r} leads out of the store")
        return path

    def delete_prefix(self, prefix: str) -> int:
        """Delete the folder ``prefix``, such as ``tenant/analysis``, and everything below it.

        Returns:
            How many files it held; 0 if there is no such folder.
        """
        folder = self.path_of(prefix)
        count = sum(1 for path in folder.rglob("*") if path.is_file())
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(folder)
        return count

    def keys_older_than(self, seconds: float) -> Iterator[str]:
        """Names of the artefacts last written more than ``seconds`` ago, by the host's clock."""
        before = time.time() - seconds
        for path in sorted(self.root.rglob("*")):
            if path.is_relative_to(self._temporaries) or not path.is_file():
                continue
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < before:
                    yield path.relative_to(self.root).as_posix()

    def delete(self, key: str) -> None:
        """Delete one artefact, if it is there."""
        self.path_of(key).unlink(missing_ok=True)

    def sweep_temporaries(self, older_than_seconds: float) -> int:
        """Delete what dead writers left behind.

        Returns:
            How many files were deleted.
        """
        before = time.time() - older_than_seconds
        count = 0
        for path in list(self._temporaries.iterdir()) if self._temporaries.is_dir() else ():
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < before:
                    path.unlink()
                    count += 1
        return count

    def check_writable(self, min_free_bytes: int) -> None:
        """Make sure that an artefact could be stored now, by storing a little.

        Raises:
            StoreUnavailable: if it could not, or less than ``min_free_bytes`` are free.
        """
        probe = self._temporaries / uuid4().hex
        try:
            self._temporaries.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self.root).free
            _write_durably(probe, b"\0" * _PROBE_BYTES)
        except OSError as error:
            raise StoreUnavailable(f"the artefact disk refuses: {_reason(error)}") from error
        finally:
            with contextlib.suppress(OSError):
                probe.unlink(missing_ok=True)
        if free < min_free_bytes:
            raise StoreUnavailable(f"{free} bytes are free on the artefact disk, wanted {min_free_bytes}")

    def _write_and_link(self, temporary: Path, target: Path, data: bytes | Path) -> tuple[str, int]:
        self._temporaries.mkdir(parents=True, exist_ok=True)
        digest, size = _write_durably(temporary, data)
        _make_durable_folder(target.parent)
        try:
            os.link(temporary, target)
        except FileExistsError:
            if _hash_file(target) != digest:
                raise ArtefactConflict(f"{target.name} already holds other bytes") from None
        _sync_folder(target.parent)
        return digest, size


def require_key(key: str) -> None:
    """Check that a key is a relative path of plain names.

    Raises:
        InvalidKey: if it is not: it could leave the store.
    """
    if not all(_PART.fullmatch(part) for part in key.split("/")):
        raise InvalidKey(f"not an artefact key: {key!r}")


def _reason(error: OSError) -> str:
    # Without the file's name: where artefacts lie is no business of a client.
    return error.strerror or type(error).__name__


def _write_durably(path: Path, data: bytes | Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with path.open("xb") as file:
        for chunk in _chunks(data):
            file.write(chunk)
            digest.update(chunk)
            size += len(chunk)
        file.flush()
        os.fchmod(file.fileno(), 0o444)
        os.fsync(file.fileno())
    return digest.hexdigest(), size


def _chunks(data: bytes | Path) -> Iterator[bytes]:
    if isinstance(data, bytes):
        yield data
        return
    with data.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _make_durable_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    _make_durable_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
