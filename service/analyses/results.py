"""What a finished analysis leaves: its result and its files, checked against their hashes."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from api_schemas.analyses import LIVE
from api_schemas.artifacts import Artifact, ArtifactList
from ledger.database import read
from service.analyses.read import find
from service.analyses.representation import links
from service.errors import ApiError, Conflict, NotFound
from service.resources import Resources

RESULT: Final = "result.json"
REPORT: Final = "report.html"
PROMPTS: Final = "prompts.json"


class ArtifactUnreadable(ApiError):
    """A stored file is gone, or is not what was stored."""

    status_code, code = 500, "artifact_unreadable"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file whose bytes have been checked.

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


def list_artifacts(resources: Resources, analysis_id: str) -> ArtifactList:
    """The files of an analysis; none before it has ended.

    Raises:
        NotFound: there is no such analysis.
    """
    with read(resources.engine) as conn:
        stored = find(conn, analysis_id).artifacts
    data = [_artifact(analysis_id, name, entry) for name, entry in sorted(stored.items())]
    return ArtifactList(object="list", data=data, has_more=False, next_cursor=None)


def open_artifact(resources: Resources, analysis_id: str, name: str) -> StoredFile:
    """A file by its name.

    Raises:
        NotFound: there is no such analysis, or it has no such file.
        ArtifactUnreadable: the file does not have the recorded hash.
    """
    with read(resources.engine) as conn:
        entry = find(conn, analysis_id).artifacts.get(name)
    if entry is None:
        raise NotFound("the analysis has no file of this name", code="artifact_not_found")
    return _checked(resources, name, entry)


def open_outcome(resources: Resources, analysis_id: str, name: str) -> StoredFile:
    """A file that every analysis with a result has.

    Raises:
        NotFound: there is no such analysis.
        Conflict: it has no result, yet or for good.
        ArtifactUnreadable: the file does not have the recorded hash.
    """
    with read(resources.engine) as conn:
        row = find(conn, analysis_id)
    if (entry := row.artifacts.get(name)) is not None:
        return _checked(resources, name, entry)
    if row.status in LIVE:
        pause = {"Retry-After": str(resources.settings.retry_after_seconds)}
        detail = f"the analysis is {row.status}; wait for it at {links(analysis_id).events}"
        raise Conflict(detail, code="result_not_ready", headers=pause)
    why = "; its `error` says why" if row.error else ""
    raise Conflict(
        f"the analysis ended as {row.status} before there was anything to report{why}", code="no_result"
    )


def _artifact(analysis_id: str, name: str, entry: dict[str, Any]) -> Artifact:
    return Artifact(
        object="artifact",
        name=name,
        media_type=entry["media_type"],
        bytes=entry["bytes"],
        sha256=entry["sha256"],
        href=f"{links(analysis_id).self}/artifacts/{name}",
    )


def _checked(resources: Resources, name: str, entry: dict[str, Any]) -> StoredFile:
    """The file, hashed piece by piece: samples may be larger than memory."""
    path = resources.artefacts.path_of(entry["key"])
    try:
        with path.open("rb") as file:
            intact = hashlib.file_digest(file, "sha256").hexdigest() == entry["sha256"]
    except FileNotFoundError as error:
        raise _unreadable("is gone") from error
    if not intact:
        raise _unreadable("was altered after it was stored")
    return StoredFile(name, path, entry["media_type"], entry["sha256"])


def _unreadable(what: str) -> ArtifactUnreadable:
    return ArtifactUnreadable(f"the stored file {what}; restore it from a backup, or run the analysis again")
