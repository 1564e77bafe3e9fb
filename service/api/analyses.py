"""Routes of /v1/analyses."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from api_schemas.analyses import LIVE, Analysis, AnalysisList, Status
from api_schemas.extensions import AnalysisExtension
from api_schemas.plans import AnalysisPlan
from api_schemas.problems import FieldProblem
from api_schemas.requests import AnalysisPatch, AnalysisRequest, Kind
from service.analyses import change, read
from service.analyses.extend import extend
from service.analyses.representation import entity_tag
from service.analyses.submit import Accepted, plan, submit
from service.api.bodies import StrictJsonRoute
from service.api.dependencies import After, AnalysisId, IdempotencyKey, Limit, ResourcesDep
from service.api.preferences import Wait, meant_versions, names, settled
from service.errors import PreconditionRequired, ValidationFailed
from service.resources import Resources

router = APIRouter(prefix="/v1/analyses", tags=["analyses"], route_class=StrictJsonRoute)
IfNoneMatch = Annotated[
    str | None, Header(description="An `ETag` from before: 304 while nothing has changed.")
]
IfMatch = Annotated[
    str | None, Header(description="The `ETag` this change is meant for: 412 if there is a newer version.")
]
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "Nothing has changed."}}


@router.post(
    "",
    status_code=202,
    operation_id="analyses_create",
    response_model=Analysis,
    responses={200: {"model": AnalysisPlan, "description": "The plan, with `validate_only`."}},
)
async def create(
    body: AnalysisRequest,
    request: Request,
    response: Response,
    resources: ResourcesDep,
    key: IdempotencyKey,
    wait: Wait,
    validate_only: Annotated[
        bool, Query(description="Check the request and answer what it would do; store nothing.")
    ] = False,
) -> Analysis | Response:
    """Accept an analysis; the answer is 202 whether or not it has ended by then."""
    if validate_only:
        planned = await run_in_threadpool(plan, resources, body)
        return Response(planned.model_dump_json(), media_type="application/json")
    accepted = await run_in_threadpool(submit, resources, body, key=key)
    return await _accepted(request, response, resources, accepted, wait)


@router.get("", operation_id="analyses_list")
def list_analyses(
    resources: ResourcesDep,
    limit: Limit = 20,
    after: After = None,
    status: Status | None = None,
    kind: Kind | None = None,
    label: Annotated[
        str | None, Query(description="Only those with this label.", examples=["run:grpo-7"])
    ] = None,
) -> AnalysisList:
    """List analyses, newest first."""
    return read.list_page(resources, limit=limit, after=after, status=status, kind=kind, label=_label(label))


@router.get("/{analysis_id}", operation_id="analyses_get", response_model=Analysis, responses=NOT_MODIFIED)
async def get(
    analysis_id: AnalysisId,
    request: Request,
    response: Response,
    resources: ResourcesDep,
    wait: Wait,
    if_none_match: IfNoneMatch = None,
) -> Analysis | Response:
    """The state of an analysis."""
    found = await run_in_threadpool(read.get, resources, analysis_id)
    analysis = await settled(request, resources, found, wait)
    _describe(response, analysis, resources, wait)
    if names(if_none_match, response.headers["ETag"]):
        return Response(status_code=304, headers=dict(response.headers))
    return analysis


@router.patch("/{analysis_id}", operation_id="analyses_update")
def update(
    analysis_id: AnalysisId,
    body: AnalysisPatch,
    response: Response,
    resources: ResourcesDep,
    if_match: IfMatch = None,
) -> Analysis:
    """Change the name or the labels; `If-Match` with the analysis's `ETag` is required."""
    if if_match is None:
        raise PreconditionRequired(
            'say with `If-Match` which version you change: take the `ETag` of GET, or "*" for any'
        )
    analysis = change.change(resources, analysis_id, body, versions=meant_versions(if_match))
    response.headers["ETag"] = entity_tag(analysis)
    return analysis


@router.post("/{analysis_id}/cancel", status_code=202, operation_id="analyses_cancel")
def request_cancel(analysis_id: AnalysisId, resources: ResourcesDep) -> Analysis:
    """Ask for an analysis to end and keep what is committed; asking again changes nothing."""
    return change.cancel(resources, analysis_id)


@router.post(
    "/{analysis_id}/extend", status_code=202, operation_id="analyses_extend", response_model=Analysis
)
async def extend_analysis(
    analysis_id: AnalysisId,
    body: AnalysisExtension,
    request: Request,
    response: Response,
    resources: ResourcesDep,
    key: IdempotencyKey,
    wait: Wait,
    if_match: IfMatch = None,
) -> Analysis:
    """Go on with an analysis that has a result, under a larger budget: only what is missing is sampled.

    Its result stays readable until the next one takes its place; `result_revision` says which it is.
    """
    versions = meant_versions(if_match)
    accepted = await run_in_threadpool(extend, resources, analysis_id, body, key=key, versions=versions)
    return await _accepted(request, response, resources, accepted, wait)


@router.delete("/{analysis_id}", status_code=204, operation_id="analyses_delete", response_class=Response)
def delete(analysis_id: AnalysisId, resources: ResourcesDep, if_match: IfMatch = None) -> None:
    """Remove a finished analysis and its files."""
    change.delete(resources, analysis_id, versions=meant_versions(if_match))


async def _accepted(
    request: Request, response: Response, resources: Resources, accepted: Accepted, wait: int | None
) -> Analysis:
    analysis = await settled(request, resources, accepted.analysis, wait)
    _describe(response, analysis, resources, wait)
    response.headers["Location"] = analysis.links.self
    if accepted.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return analysis


def _describe(response: Response, analysis: Analysis, resources: ResourcesDep, wait: int | None) -> None:
    response.headers["ETag"] = entity_tag(analysis)
    if analysis.status in LIVE:
        response.headers["Retry-After"] = str(resources.settings.retry_after_seconds)
    if wait is not None:
        response.headers["Preference-Applied"] = f"wait={wait}"


def _label(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    key, colon, value = text.partition(":")
    if not key or not colon:
        fault = FieldProblem(detail="write it as key:value", parameter="label")
        raise ValidationFailed("`label` takes key:value", errors=[fault])
    return key, value
