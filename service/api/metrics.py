"""Route /metrics."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Request, Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

router = APIRouter(tags=["health"])

Accept = Annotated[str | None, Header(include_in_schema=False)]
TEXT: Final = {"schema": {"type": "string"}}
FORMATS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "content": {"text/plain": TEXT, "application/openmetrics-text": TEXT},
        "description": "Prometheus' text format, or OpenMetrics where `Accept` asks for it.",
    }
}


@router.get("/metrics", operation_id="health_metrics", response_class=Response, responses=FORMATS)
def metrics(
    request: Request, accept: Annotated[str | None, Header(include_in_schema=False)] = None
) -> Response:
    """Metrics of this gateway process and of the whole ledger, all tenants together; names only, no ids."""
    registry: CollectorRegistry = request.app.state.metrics
    encode, media_type = choose_encoder(accept or "")
    return Response(encode(registry), headers={"Content-Type": media_type})
