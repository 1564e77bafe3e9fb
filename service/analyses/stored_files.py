"""Files of finished analyses: found by name, and checked against their hashes before a byte is sent."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from api_schemas.analyses import LIVE
from ledger.database import read
from service.analyses.read import find
from service.analyses.representation import links
from service.errors import ApiError, Conflict, NotFound
from service.resources import Resources

REMEMBERED_FILES: Final = 4_096
"""Files whose hash is not computed anew while they lie untouched: each range of a file would cost it."""


class ArtifactUnreadable(ApiError):
    """A stored file is gone, or is not what was stored."""

    status_code, code = 500, "artifact_unreadable"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of an analysis.

    Attributes:
        name: Name within the analysis.
        path: Where it lies.
        media_type: What it is.
        sha256: Hash of its bytes, in hex.
    """

    name: str
    path: Path
    media_type: str
    sha256: str


def open_artifact(resources: Resources, analysis_id: str, name: str) -> StoredFile:
    """A file by its name, checked.

    Raises:
        NotFound: there is no such analysis, or it has no such file.
        ArtifactUnreadable: the file does not have the recorded hash.
    """
    with read(resources.engine) as conn:
        entry = find(conn, analysis_id).artifacts.get(name)
    if entry is None:
        raise NotFound("the analysis has no file of this name", code="artifact_not_found")
    return checked(_stored(resources, name, entry))


def open_outcome(resources: Resources, analysis_id: str, name: str) -> StoredFile:
    """A file that every analysis with a result has, checked.

    Raises:
        NotFound: there is no such analysis.
        Conflict: it has no result, yet or for good.
        ArtifactUnreadable: the file does not have the recorded hash.
    """
    return checked(open_outcomes(resources, analysis_id, name)[0])


def open_outcomes(resources: Resources, analysis_id: str, *names: str) -> list[StoredFile]:
    """Files that every analysis with a result has, not checked yet.

    Raises:
        NotFound: there is no such analysis.
        Conflict: it has no result, yet or for good.
    """
    with read(resources.engine) as conn:
        row = find(conn, analysis_id)
    if all(name in row.artifacts for name in names):
        return [_stored(resources, name, row.artifacts[name]) for name in names]
    if row.status in LIVE:
        pause = {"Retry-After": str(resources.settings.retry_after_seconds)}
        detail = f"the analysis is {row.status}; wait for it at {links(analysis_id).events}"
        raise Conflict(detail, code="result_not_ready", headers=pause)
    why = "; its `error` says why" if row.error else ""
    raise Conflict(
        f"the analysis ended as {row.status} before there was anything to report{why}", code="no_result"
    )


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


def _stored(resources: Resources, name: str, entry: dict[str, Any]) -> StoredFile:
    return StoredFile(name, resources.artefacts.path_of(entry["key"]), entry["media_type"], entry["sha256"])


def _signature(path: Path) -> tuple[int, ...]:
    """Changes whenever a file is written or replaced."""
    stat = path.stat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


@lru_cache(maxsize=REMEMBERED_FILES)
def _is_intact(path: Path, sha256: str, _signature: tuple[int, ...]) -> bool:
    """Whether a file has a hash; read piece by piece, because samples may be larger than memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256
