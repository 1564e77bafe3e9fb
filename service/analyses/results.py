"""The files that a finished analysis leaves, by name."""

from typing import Any, Final

from api_schemas.analyses import Links
from api_schemas.artifacts import Artifact, ArtifactList
from ledger.database import read
from service.analyses.read import find
from service.resources import Resources

RESULT: Final = "result.json"
REPORT: Final = "report.html"
PROMPTS: Final = "prompts.json"
PROMPTS_INDEX: Final = "prompts.index.json"
SAMPLES: Final = "samples.jsonl.gz"
SAMPLES_INDEX: Final = "samples.index.json"


def list_artifacts(resources: Resources, analysis_id: str) -> ArtifactList:
    """The files of an analysis; none before it has ended.

    Raises:
        NotFound: there is no such analysis.
    """
    with read(resources.engine) as conn:
        stored = find(conn, resources.tenant, analysis_id).artifacts
    data = [_artifact(analysis_id, name, entry) for name, entry in sorted(stored.items())]
    return ArtifactList(object="list", data=data, has_more=False, next_cursor=None)


def _artifact(analysis_id: str, name: str, entry: dict[str, Any]) -> Artifact:
    return Artifact(
        object="artifact",
        name=name,
        media_type=entry["media_type"],
        bytes=entry["bytes"],
        sha256=entry["sha256"],
        href=f"{Links.of(analysis_id).self}/artifacts/{name}",
    )
