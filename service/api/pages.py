"""The pages for people: / and /docs."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from service.analyses.overview import glances
from service.api.dependencies import ResourcesDep
from service.web.dashboard import dashboard
from service.web.reference import reference

router = APIRouter(include_in_schema=False)

SHOWN_ANALYSES = 50
"""Lines of the dashboard: what fits a screen or two; /v1/analyses pages through the rest."""


@router.get("/", operation_id="pages_dashboard")
def index(request: Request, resources: ResourcesDep) -> HTMLResponse:
    """The dashboard."""
    return dashboard(glances(resources, limit=SHOWN_ANALYSES), str(request.base_url))


@router.get("/docs", operation_id="pages_docs")
def docs(request: Request) -> HTMLResponse:
    """The API reference."""
    return reference(request.app.openapi())
