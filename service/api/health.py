"""Routes /livez and /readyz."""

from typing import Any

from fastapi import APIRouter, Response

from api_schemas.health import Liveness, Readiness
from service.api.dependencies import ResourcesDep
from service.health import readiness

router = APIRouter(tags=["health"])
STARTING: dict[int | str, dict[str, Any]] = {
    503: {"model": Readiness, "description": "A part that is needed is not there yet."}
}


@router.get("/livez", operation_id="health_live")
async def livez() -> Liveness:
    """The gateway runs; says nothing about what it depends on."""
    return Liveness(status="ok")


@router.get("/readyz", operation_id="health_ready", responses=STARTING)
def readyz(resources: ResourcesDep, response: Response) -> Readiness:
    """The gateway can accept work: schema current, models scanned, disk writable."""
    found = readiness(resources)
    response.status_code = 200 if found.status == "ready" else 503
    return found
