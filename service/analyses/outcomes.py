"""Files of finished analyses, by name."""

from typing import Any

from api_schemas.analyses import LIVE, Links
from ledger.database import read
from service.analyses.read import find
from service.errors import Conflict, NotFound
from service.resources import Resources
from service.stored_files import StoredFile, checked


def open_artifact(resources: Resources, analysis_id: str, name: str) -> StoredFile:
    """A file by its name, checked.

    Raises:
        NotFound: there is no such analysis, or it has no such file.
        ArtifactUnreadable: the file does not have the recorded hash.
    """
    with read(resources.engine) as conn:
        entry = find(conn, resources.tenant, analysis_id).artifacts.get(name)
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


def open_outcomes(
    resources: Resources, analysis_id: str, *names: str, beside: str | None = None
) -> list[StoredFile]:
    """Files that every analysis with a result has, not checked yet.

    Args:
        resources: What the gateway runs on.
        analysis_id: The analysis.
        names: The files.
        beside: One more, which results of earlier versions lack; then it is left out.

    Raises:
        NotFound: there is no such analysis.
        Conflict: it has no result, yet or for good.
    """
    with read(resources.engine) as conn:
        row = find(conn, resources.tenant, analysis_id)
    if all(name in row.artifacts for name in names):
        further = [beside] if beside is not None and beside in row.artifacts else []
        return [_stored(resources, name, row.artifacts[name]) for name in (*names, *further)]
    if row.status in LIVE:
        pause = {"Retry-After": str(resources.settings.retry_after_seconds)}
        detail = f"the analysis is {row.status}; wait for it at {Links.of(analysis_id).events}"
        raise Conflict(detail, code="result_not_ready", headers=pause)
    why = "; its `error` says why" if row.error else ""
    raise Conflict(
        f"the analysis ended as {row.status} before there was anything to report{why}", code="no_result"
    )


def _stored(resources: Resources, name: str, entry: dict[str, Any]) -> StoredFile:
    return StoredFile(name, resources.artefacts.path_of(entry["key"]), entry["media_type"], entry["sha256"])
