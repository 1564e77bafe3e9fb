"""Routes of /v1/datasets."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.responses import FileResponse
from pydantic import StringConstraints

from api_schemas.datasets import Dataset, DatasetList
from service.api.bodies import media_type_of
from service.api.dependencies import After, Limit, ResourcesDep
from service.api.results import send_file
from service.datasets import read
from service.datasets.upload import upload
from service.errors import UnsupportedMediaType
from service.uploads.bodies import pieces

router = APIRouter(prefix="/v1/datasets", tags=["datasets"])

MEDIA_TYPES: Final = frozenset(
    {"application/jsonl", "application/x-ndjson", "application/x-jsonlines", "application/octet-stream"}
)
EXAMPLE: Final = (
    '{"id": "p1", "prompt": "12+30=", "answer": "42"}\n{"id": "p2", "prompt": "5+6=", "answer": "11"}\n'
)
DatasetId = Annotated[str, Path(examples=["ds_01JD8ZC6Q5V6TQ3N4R5S6T7V8W"])]
Name = Annotated[
    Annotated[str, StringConstraints(min_length=1, max_length=200)] | None,
    Query(description="What you call it.", examples=["additions"]),
]
BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": "One prompt a line, as in `prompts.inline` of an analysis; one without an `id` gets "
        "the number of its line. May be sent with `Content-Encoding: gzip`.",
        "content": {"application/jsonl": {"schema": {"type": "string"}, "example": EXAMPLE}},
    }
}


def _is_jsonl(request: Request) -> None:
    if media_type_of(request) not in MEDIA_TYPES:
        raise UnsupportedMediaType(
            "send the file as it is with `Content-Type: application/jsonl`, as in "
            "`curl --data-binary @prompts.jsonl -H 'Content-Type: application/jsonl'`"
        )


@router.post(
    "",
    status_code=201,
    operation_id="datasets_create",
    openapi_extra=BODY,
    responses={200: {"model": Dataset, "description": "This content is here already."}},
    dependencies=[Depends(_is_jsonl)],
)
async def create(request: Request, response: Response, resources: ResourcesDep, name: Name = None) -> Dataset:
    """Keep prompts under an id, to name in analyses; the same content gets the same id again."""
    body = pieces(
        request, max_bytes=resources.settings.max_dataset_bytes, setting="TILTSCOPE_MAX_DATASET_BYTES"
    )
    kept = await upload(resources, body, name=name)
    response.status_code = 200 if kept.existed else 201
    response.headers["Location"] = f"/v1/datasets/{kept.dataset.id}"
    return kept.dataset


@router.get("", operation_id="datasets_list")
def list_datasets(resources: ResourcesDep, limit: Limit = 20, after: After = None) -> DatasetList:
    """List data sets, newest first."""
    return read.list_page(resources, limit=limit, after=after)


@router.get("/{dataset_id}", operation_id="datasets_get")
def get(dataset_id: DatasetId, resources: ResourcesDep) -> Dataset:
    """One data set: its size, its hash, its splits."""
    return read.get(resources, dataset_id)


@router.get(
    "/{dataset_id}/content",
    operation_id="datasets_content",
    response_class=FileResponse,
    responses={
        200: {"content": {read.MEDIA_TYPE: {"schema": {"type": "string"}}}, "description": "The prompts."},
        206: {"description": "The part that `Range` asks for."},
        304: {"description": "Nothing has changed."},
        416: {"description": "The file has no such part."},
    },
)
def content(
    dataset_id: DatasetId,
    resources: ResourcesDep,
    if_none_match: Annotated[str | None, Header(description="An `ETag` from before.")] = None,
) -> Response:
    """Its prompts as JSON Lines, in their canonical form; takes `Range`."""
    return send_file(read.open_content(resources, dataset_id), if_none_match, download=True)


@router.delete("/{dataset_id}", status_code=204, operation_id="datasets_delete", response_class=Response)
def delete(dataset_id: DatasetId, resources: ResourcesDep) -> None:
    """Remove a data set; 409 while an analysis uses it."""
    read.remove(resources, dataset_id)
