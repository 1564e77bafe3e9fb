"""Routes of /v1/analyses/{id} for the result, the rows behind it and the files."""

from typing import Annotated, Final

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import FileResponse

from api_schemas.artifacts import ArtifactList
from api_schemas.results import PromptRowList, ResultDocument
from service.analyses import results
from service.analyses.prompts import Order, Sort, prompts_page
from service.analyses.results import StoredFile
from service.api.bodies import StrictJsonRoute
from service.api.dependencies import After, AnalysisId, Limit, ResourcesDep
from service.api.preferences import names

router = APIRouter(prefix="/v1/analyses/{analysis_id}", tags=["results"], route_class=StrictJsonRoute)
IfNoneMatch = Annotated[str | None, Header(description="An `ETag` from before.")]

REPORT_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'; sandbox allow-scripts"
)
"""A report shows what models wrote: it loads nothing, submits nothing and has no part in this origin.

Policies add up: the report's own, in its head, names its one script and its style by their hashes.
"""


@router.get("/result", operation_id="analyses_result", response_model=ResultDocument)
def result(analysis_id: AnalysisId, resources: ResourcesDep, if_none_match: IfNoneMatch = None) -> Response:
    """What the analysis found; 409 `result_not_ready` before there is a result."""
    return _send(results.open_outcome(resources, analysis_id, results.RESULT), if_none_match)


@router.get("/prompts", operation_id="analyses_prompts", response_model_exclude_unset=True)
def prompts(
    analysis_id: AnalysisId,
    resources: ResourcesDep,
    limit: Limit = 20,
    after: After = None,
    sort: Annotated[Sort | None, Query(description="Without it, the order of the request's prompts.")] = None,
    order: Order = "asc",
) -> PromptRowList:
    """What was found about each prompt."""
    return prompts_page(resources, analysis_id, limit=limit, after=after, sort=sort, order=order)


@router.get("/artifacts", operation_id="analyses_artifacts_list")
def list_artifacts(analysis_id: AnalysisId, resources: ResourcesDep) -> ArtifactList:
    """The files of a finished analysis."""
    return results.list_artifacts(resources, analysis_id)


@router.get(
    "/artifacts/{name}",
    operation_id="analyses_artifacts_get",
    response_class=FileResponse,
    responses={200: {"content": {"application/octet-stream": {}}, "description": "The file."}},
)
def artifact(
    analysis_id: AnalysisId, name: str, resources: ResourcesDep, if_none_match: IfNoneMatch = None
) -> Response:
    """A file, checked against its hash; takes `Range`."""
    stored = results.open_artifact(resources, analysis_id, name)
    return _send(stored, if_none_match, download=True)


@router.get(
    "/report",
    operation_id="analyses_report",
    response_class=FileResponse,
    responses={200: {"content": {"text/html": {}}, "description": "A self-contained page."}},
)
def report(analysis_id: AnalysisId, resources: ResourcesDep, if_none_match: IfNoneMatch = None) -> Response:
    """The report for people; it loads nothing."""
    return _send(results.open_outcome(resources, analysis_id, results.REPORT), if_none_match)


def _send(stored: StoredFile, if_none_match: str | None, *, download: bool = False) -> Response:
    headers = {"ETag": f'"{stored.sha256}"'}
    if stored.media_type.startswith("text/html"):
        headers["Content-Security-Policy"] = REPORT_POLICY
    if names(if_none_match, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    filename = stored.name if download else None
    return FileResponse(stored.path, headers=headers, media_type=stored.media_type, filename=filename)
