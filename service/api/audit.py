"""Routes of /v1/audit."""

from fastapi import APIRouter

from api_schemas.audit import AuditLog
from service import audit
from service.api.dependencies import After, Limit, ResourcesDep

router = APIRouter(prefix="/v1/audit", tags=["audit"])


@router.get("", operation_id="audit_list")
def list_entries(resources: ResourcesDep, limit: Limit = 20, after: After = None) -> AuditLog:
    """Who changed what, newest first: every request that may have changed something. Takes scope `admin`."""
    return audit.list_page(resources, limit=limit, after=after)
