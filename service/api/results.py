"""Routes of /v1/analyses/{id} for the result, the rows behind it and the files."""

import hashlib
from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import FileResponse, StreamingResponse

from api_schemas.artifacts import ArtifactList
from api_schemas.results import ResultDocument
from api_schemas.rows import PromptRowList
from api_schemas.samples import Outcome, Sample, SampleList
from service.analyses import results
from service.analyses.outcomes import open_artifact, open_outcome
from service.analyses.prompts import Order, Sort, prompts_page, prompts_table
from service.analyses.samples import SampleFilter, open_samples, samples_page
from service.api.bodies import StrictJsonRoute
from service.api.dependencies import After, AnalysisId, Limit, ResourcesDep
from service.api.preferences import names
from service.csv_text import columns_of, csv_chunks, flatten
from service.stored_files import StoredFile

router = APIRouter(prefix="/v1/analyses/{analysis_id}", tags=["results"], route_class=StrictJsonRoute)
IfNoneMatch = Annotated[str | None, Header(description="An `ETag` from before.")]

FILE_TYPES: Final = (
    "application/octet-stream",
    "application/json",
    "application/gzip",
    "application/vnd.apache.parquet",
    "text/html",
)
"""Media types of the files of an analysis."""

Format = Annotated[
    Literal["json", "csv"],
    Query(description="`csv` is every row, whatever `limit` and `after` say; no cell of it is a formula."),
]
CSV_TOO: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/csv": {"schema": {"type": "string"}}}},
    304: {"description": "Nothing has changed."},
}

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
    return send_file(open_outcome(resources, analysis_id, results.RESULT), if_none_match)


@router.get(
    "/prompts",
    operation_id="analyses_prompts",
    response_model=PromptRowList,
    response_model_exclude_unset=True,
    responses=CSV_TOO,
)
def prompts(
    analysis_id: AnalysisId,
    resources: ResourcesDep,
    limit: Limit = 20,
    after: After = None,
    sort: Annotated[Sort | None, Query(description="Without it, the order of the request's prompts.")] = None,
    order: Order = "asc",
    checkpoint: Annotated[
        int | None, Query(ge=0, description="Of a trajectory: only this checkpoint's, counted from 0.")
    ] = None,
    format: Format = "json",
    if_none_match: IfNoneMatch = None,
) -> PromptRowList | Response:
    """What was found about each prompt."""
    if format == "json":
        return prompts_page(
            resources,
            analysis_id,
            limit=limit,
            after=after,
            sort=sort,
            order=order,
            checkpoint=checkpoint,
        )
    table = prompts_table(resources, analysis_id, sort=sort, order=order, checkpoint=checkpoint)
    chunks = csv_chunks(columns_of(map(flatten, table)), map(flatten, table))
    return _csv(chunks, "prompts.csv", (table.rows.sha256, sort, order, str(checkpoint)), if_none_match)


@router.get("/samples", operation_id="analyses_samples", response_model=SampleList, responses=CSV_TOO)
def samples(
    analysis_id: AnalysisId,
    resources: ResourcesDep,
    limit: Limit = 20,
    after: After = None,
    prompt_id: Annotated[str | None, Query(description="Only this prompt's.", examples=["p1"])] = None,
    side: Annotated[str | None, Query(description="Only this side's.", examples=["candidate"])] = None,
    outcome: Annotated[Outcome | None, Query(description="Only those judged so.")] = None,
    format: Format = "json",
    if_none_match: IfNoneMatch = None,
) -> SampleList | Response:
    """What each side wrote for each prompt, and how it was judged, by side, prompt and draw."""
    wanted = SampleFilter(prompt_id, side, outcome)
    if format == "json":
        return samples_page(resources, analysis_id, limit=limit, after=after, wanted=wanted)
    found = open_samples(resources, analysis_id)
    rows = (row for _, _, row in found.rows(wanted))
    version = (found.sha256, prompt_id, side, outcome)
    return _csv(csv_chunks(list(Sample.model_fields), rows), "samples.csv", version, if_none_match)


@router.get("/artifacts", operation_id="analyses_artifacts_list")
def list_artifacts(analysis_id: AnalysisId, resources: ResourcesDep) -> ArtifactList:
    """The files of a finished analysis."""
    return results.list_artifacts(resources, analysis_id)


@router.get(
    "/artifacts/{name}",
    operation_id="analyses_artifacts_get",
    response_class=FileResponse,
    responses={
        200: {"content": {name: {} for name in FILE_TYPES}, "description": "The file."},
        206: {"description": "The part that `Range` asks for."},
        304: {"description": "Nothing has changed."},
        416: {"description": "The file has no such part."},
    },
)
def artifact(
    analysis_id: AnalysisId, name: str, resources: ResourcesDep, if_none_match: IfNoneMatch = None
) -> Response:
    """A file, checked against its hash; takes `Range`."""
    stored = open_artifact(resources, analysis_id, name)
    return send_file(stored, if_none_match, download=True)


@router.get(
    "/report",
    operation_id="analyses_report",
    response_class=FileResponse,
    responses={200: {"content": {"text/html": {}}, "description": "A self-contained page."}},
)
def report(analysis_id: AnalysisId, resources: ResourcesDep, if_none_match: IfNoneMatch = None) -> Response:
    """The report for people; it loads nothing."""
    return send_file(open_outcome(resources, analysis_id, results.REPORT), if_none_match)


def send_file(stored: StoredFile, if_none_match: str | None, *, download: bool = False) -> Response:
    """A stored file as a response, or 304; `Range` is served."""
    headers = {"ETag": f'"{stored.sha256}"'}
    if stored.media_type.startswith("text/html"):
        headers["Content-Security-Policy"] = REPORT_POLICY
    if names(if_none_match, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    filename = stored.name if download else None
    return FileResponse(stored.path, headers=headers, media_type=stored.media_type, filename=filename)


def _csv(
    chunks: Iterator[bytes], filename: str, version: tuple[str | None, ...], if_none_match: str | None
) -> Response:
    headers = {
        "ETag": f'"{hashlib.sha256(repr(version).encode()).hexdigest()}"',
        "Content-Disposition": f'attachment; filename="{filename}"',
    }
    if names(if_none_match, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return StreamingResponse(chunks, headers=headers, media_type="text/csv; charset=utf-8")
