"""Stored files that are checked against their hashes before a byte of them is sent."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from service.errors import ApiError

REMEMBERED_FILES: Final = 4_096
"""Files whose hash is not computed anew while they lie untouched: each range of a file would cost it."""


class ArtifactUnreadable(ApiError):
    """A stored file is gone, or is not what was stored."""

    status_code, code = 500, "artifact_unreadable"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A stored file.

    Attributes:
        name: Its name for people.
        path: Where it lies.
        media_type: What it is.
        sha256: Hash of its bytes, in hex.
    """

    name: str
    path: Path
    media_type: str
    sha256: str


def checked(stored: StoredFile) -> StoredFile:
    """The same file, its bytes found to have the recorded hash.

    Raises:
        ArtifactUnreadable: they do not.
    """
    try:
        intact = _is_intact(stored.path, stored.sha256, _signature(stored.path))
    except FileNotFoundError as error:
        raise unreadable("is gone") from error
    if not intact:
        raise unreadable("was altered after it was stored")
    return stored


def unreadable(what: str) -> ArtifactUnreadable:
    """The answer for a file that must not be sent."""
    return ArtifactUnreadable(f"the stored file {what}; restore it from a backup, or run the analysis again")


def _signature(path: Path) -> tuple[int, ...]:
    """Changes whenever a file is written or replaced."""
    stat = path.stat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


@lru_cache(maxsize=REMEMBERED_FILES)
def _is_intact(path: Path, sha256: str, _signature: tuple[int, ...]) -> bool:
    """Whether a file has a hash; read piece by piece, because samples may be larger than memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256
