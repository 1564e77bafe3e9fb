"""Route /v1/comparisons."""

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Response

from api_schemas.comparisons import Comparison
from service.analyses.comparison import MAX_COMPARED, compare
from service.api.dependencies import ResourcesDep
from service.web.comparison import comparison_page

router = APIRouter(prefix="/v1/comparisons", tags=["results"])

Ids = Annotated[
    str,
    Query(
        max_length=2_000,
        description=f"Ids of finished analyses, separated by commas; at most {MAX_COMPARED}.",
        examples=["anl_01JD8ZC6Q5V6TQ3N4R5S6T7V8W,anl_01JD8ZC6Q5V6TQ3N4R5S6T7V8X"],
    ),
]


Format = Annotated[
    Literal["json", "html"], Query(description="`html` is a page for people, which loads nothing.")
]
PAGE_TOO: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/html": {"schema": {"type": "string"}}}}
}


@router.get(
    "",
    operation_id="comparisons_get",
    response_model=Comparison,
    response_model_exclude_unset=True,
    responses=PAGE_TOO,
)
def comparison(ids: Ids, resources: ResourcesDep, format: Format = "json") -> Comparison | Response:
    """Finished analyses side by side, in the order of `ids`."""
    found = compare(resources, ids)
    return found if format == "json" else comparison_page(found)
