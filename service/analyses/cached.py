"""How much of an analysis's pilot its tenant has drawn before."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sqlalchemy import Connection, Row

from api_schemas.requests import AnalysisRequest
from ledger.sample_cache import count_present, draw_keys, model_key
from service.analyses.model_checks import imported_sides, sides

PROMPTS_AT_ONCE: Final = 500
"""Keys in memory: a data set may have a hundred thousand prompts."""


def cached_samples(
    conn: Connection, tenant: str, request: AnalysisRequest, prompts: int, models: Mapping[str, Row[Any]]
) -> int:
    """Samples of the sides' pilots that workers find instead of drawing them, as things are now.

    They look under the same keys. Arms are left out: their keys have an arm's name and not its wording, which
    only the worker that renders the prompt compares. So are analyses with a log, where nothing is reused.

    Args:
        conn: A transaction.
        tenant: Whose samples may be read.
        request: The request.
        prompts: How many prompts it has.
        models: Registry rows of its models, by id.
    """
    if imported_sides(request):
        return 0
    spec, each = request.model_dump(mode="json", by_alias=True), request.budget.samples_per_prompt
    found = 0
    for stream, model_id in _streams(request):
        model = models[model_id]._asdict()
        for start in range(0, prompts, PROMPTS_AT_ONCE):
            some = range(start, min(prompts, start + PROMPTS_AT_ONCE))
            keys = draw_keys(spec, stream, weights=[model_key(model)], model=model, prompts=some)
            present = count_present(conn, tenant, dict.fromkeys(keys, (0, each)))
            found += sum(times * present[key] for key, times in Counter(keys).items())
    return found


def _streams(request: AnalysisRequest) -> Iterator[tuple[str, str]]:
    """Names of the streams that draw for the sides, and their models."""
    for pointer, model_id in sides(request).items():
        side, *number = pointer.removesuffix("/model").removeprefix("/").split("/")
        yield f"candidate:{number[0]}" if number else side, model_id
