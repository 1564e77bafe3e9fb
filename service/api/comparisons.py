"""Route /v1/comparisons."""

from typing import Annotated

from fastapi import APIRouter, Query

from api_schemas.comparisons import Comparison
from service.analyses.comparison import MAX_COMPARED, compare
from service.api.dependencies import ResourcesDep

router = APIRouter(prefix="/v1/comparisons", tags=["results"])

Ids = Annotated[
    str,
    Query(
        max_length=2_000,
        description=f"Ids of finished analyses, separated by commas; at most {MAX_COMPARED}.",
        examples=["anl_01JD8ZC6Q5V6TQ3N4R5S6T7V8W,anl_01JD8ZC6Q5V6TQ3N4R5S6T7V8X"],
    ),
]


@router.get("", operation_id="comparisons_get", response_model_exclude_unset=True)
def comparison(ids: Ids, resources: ResourcesDep) -> Comparison:
    """Finished analyses side by side, in the order of `ids`."""
    return compare(resources, ids)
