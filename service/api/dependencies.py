"""What routes take from a request.

None of it blocks, so all of it is `async`: another dependency takes a turn in the thread pool each time.
"""

import re
from dataclasses import replace
from typing import Annotated, Final

from fastapi import Depends, Header, Path, Query, Request
from starlette.concurrency import run_in_threadpool

from api_schemas.problems import FieldProblem
from service.api.contract import query_parameters
from service.errors import InvalidHeader, ValidationFailed
from service.resources import Resources

IDEMPOTENCY_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
QUOTED: Final = re.compile(r'"((?:[^"\\]|\\["\\])*)"')


async def _resources(request: Request) -> Resources:
    resources: Resources = request.app.state.resources
    # Health is answered to nobody in particular; everything else comes through the gatekeeper.
    caller = getattr(request.state, "caller", None)
    return resources if caller is None else replace(resources, caller=caller)


async def _idempotency_key(
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="1–255 visible ASCII characters, bare or quoted. The same key with the same body "
            "answers what was answered before; keys are kept for 24 hours.",
        ),
    ] = None,
) -> str | None:
    if key is None:
        return None
    quoted = QUOTED.fullmatch(key.strip())
    bare = re.sub(r'\\(["\\])', r"\1", quoted[1]) if quoted else key.strip()
    if not IDEMPOTENCY_KEY.fullmatch(bare):
        raise InvalidHeader(
            "Idempotency-Key takes 1 to 255 visible ASCII characters, such as a UUID",
            code="invalid_idempotency_key",
            errors=[FieldProblem(detail="not a usable key", parameter="Idempotency-Key")],
        )
    return bare


async def refuse_unknown_parameters(request: Request) -> None:
    """Refuse query parameters that the route does not have: a misspelt filter must not list everything."""
    if not request.query_params:
        return
    operation_id = getattr(request.scope["route"], "operation_id", None)
    # Made once, in half a second; then it is at hand.
    document = request.app.openapi_schema or await run_in_threadpool(request.app.openapi)
    known = query_parameters(document, operation_id)
    if known is None:  # a page for people: whatever was appended to its address does no harm
        return
    unknown = sorted(set(request.query_params) - known)
    if unknown:
        offer = f"it takes {', '.join(sorted(known))}" if known else "it takes none"
        errors = [FieldProblem(detail=f"no such query parameter; {offer}", parameter=n) for n in unknown]
        detail = f"this path has no query parameter `{unknown[0]}`; {offer}"
        raise ValidationFailed(detail, code="unknown_parameter", errors=errors)


ResourcesDep = Annotated[Resources, Depends(_resources)]
IdempotencyKey = Annotated[str | None, Depends(_idempotency_key)]
AnalysisId = Annotated[str, Path(examples=["anl_01JD8ZC6Q5V6TQ3N4R5S6T7V8W"])]
Limit = Annotated[int, Query(ge=1, le=100, description="Entries on a page.")]
After = Annotated[
    str | None, Query(max_length=1_000, description="`next_cursor` of the page before, as it is.")
]
