"""Routes of /v1/imports."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import StringConstraints

from api_schemas.analyses import LIVE
from api_schemas.imports import Import, ImportFormat, ImportList
from service.api.dependencies import After, IdempotencyKey, Limit, ResourcesDep
from service.imports import read
from service.imports.upload import Described, upload
from service.uploads.bodies import pieces

router = APIRouter(prefix="/v1/imports", tags=["imports"])

ImportId = Annotated[str, Path(examples=["imp_01JD8ZC6Q5V6TQ3N4R5S6T7V8W"])]
Name = Annotated[
    Annotated[str, StringConstraints(min_length=1, max_length=200)] | None,
    Query(description="What you call it.", examples=["base, 64 samples"]),
]
Filter = Annotated[
    Annotated[str, StringConstraints(min_length=1, max_length=200)] | None,
    Query(
        description="For `lm-eval`: which filter's lines; without it the first filter's.", examples=["none"]
    ),
]
BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": "The log's file as it is. May be sent with `Content-Encoding: gzip`.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post("", status_code=202, operation_id="imports_create", openapi_extra=BODY)
async def create(
    request: Request,
    response: Response,
    resources: ResourcesDep,
    key: IdempotencyKey,
    format: Annotated[ImportFormat, Query(description="What wrote the log.", examples=["lm-eval"])],
    name: Name = None,
    filter: Filter = None,
) -> Import:
    """Take in a log of samples as a side of analyses; a worker parses it."""
    settings = resources.settings
    body = pieces(request, max_bytes=settings.max_import_bytes, setting="TILTSCOPE_MAX_IMPORT_BYTES")
    taken = await upload(resources, body, Described(format, name, filter), key=key)
    response.headers["Location"] = f"/v1/imports/{taken.made.id}"
    response.headers["Retry-After"] = str(settings.retry_after_seconds)
    if taken.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return taken.made


@router.get("", operation_id="imports_list")
def list_imports(resources: ResourcesDep, limit: Limit = 20, after: After = None) -> ImportList:
    """List imports, newest first."""
    return read.list_page(resources, limit=limit, after=after)


@router.get("/{import_id}", operation_id="imports_get")
def get(import_id: ImportId, response: Response, resources: ResourcesDep) -> Import:
    """One import: whether it is parsed, and what it holds."""
    found = read.get(resources, import_id)
    if found.status in LIVE:
        response.headers["Retry-After"] = str(resources.settings.retry_after_seconds)
    return found


@router.delete("/{import_id}", status_code=204, operation_id="imports_delete", response_class=Response)
def delete(import_id: ImportId, resources: ResourcesDep) -> None:
    """Remove an import; 409 while an analysis uses it."""
    read.remove(resources, import_id)
