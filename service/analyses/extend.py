"""Extending an analysis: the same one goes on under a larger budget."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from pydantic import ValidationError
from sqlalchemy import Row

from api_schemas.analyses import LIVE, Analysis
from api_schemas.extensions import AnalysisExtension
from api_schemas.participants import ImportParticipant
from api_schemas.requests import AnalysisRequest, Budget
from ledger.database import read, write
from ledger.errors import Conflict as LedgerConflict
from ledger.extending import extend as reopen
from service.analyses.admission import admit
from service.analyses.change import require_version
from service.analyses.findings import Finding, refusal, refuse
from service.analyses.plan_checks import untruncated_draws
from service.analyses.quotas import require_place
from service.analyses.read import find, no_analysis
from service.analyses.representation import represent
from service.analyses.submit import Accepted, digest_of
from service.errors import Conflict
from service.replays import remember, replayed
from service.resources import Resources

ROUTE: Final = "POST /v1/analyses/{analysis_id}/extend"


def extend(
    resources: Resources,
    analysis_id: str,
    extension: AnalysisExtension,
    *,
    key: str | None,
    versions: Collection[int] | None,
) -> Accepted:
    """Take up an analysis again.

    Args:
        resources: The gateway's resources.
        analysis_id: Which.
        extension: What it may spend from now on.
        key: The caller's idempotency key.
        versions: Versions that the extension is meant for; None for any.

    Raises:
        NotFound: there is none of this id.
        PreconditionFailed: it is at another version.
        Conflict: it is running, or has no result to go on from.
        TooManyRequests: the tenant has as much open as it may.
        Unavailable: the service is overloaded.
        ValidationFailed: the budget is not larger, cannot be spent here, or the key was used before.
    """
    asked = {"analysis_id": analysis_id, **extension.model_dump(mode="json", exclude_unset=True)}
    digest = digest_of(asked)
    if (earlier := _replay(resources, key, digest)) is not None:
        return earlier
    with read(resources.engine) as conn:
        seen = find(conn, resources.tenant, analysis_id)
    require_version(seen, versions)
    _require_result(seen)
    request = _larger(resources, seen, extension)
    admit(resources, request, request)
    spec = request.model_dump(mode="json", by_alias=True)
    try:
        with write(resources.engine) as conn:
            require_version(find(conn, resources.tenant, analysis_id), versions)
            require_place(conn, resources)
            row = reopen(
                conn,
                resources.tenant,
                analysis_id,
                revision=seen.revision,
                spec=spec,
                spec_sha256=digest_of(spec),
                deadline_seconds=request.deadline_seconds,
            )
            if row is None:
                raise no_analysis()
            analysis = represent(conn, row)
            remember(conn, resources, ROUTE, key, digest, analysis, created=analysis.id)
    except LedgerConflict as error:
        if (earlier := _replay(resources, key, digest)) is not None:
            return earlier
        raise _live("live") from error
    resources.wakeups.send()
    return Accepted(analysis, replayed=False)


def _require_result(row: Row[Any]) -> None:
    if row.status in LIVE:
        raise _live(row.status)
    if row.result_revision is None:
        raise Conflict(
            f"the analysis ended as {row.status} without a result, so there is nothing to go on from; submit "
            "it again with the budget it needs",
            code="nothing_to_extend",
        )


def _live(status: str) -> Conflict:
    return Conflict(f"the analysis is {status}; extend it once it has ended", code="analysis_live")


def _larger(resources: Resources, row: Row[Any], extension: AnalysisExtension) -> AnalysisRequest:
    """The request with the larger budget.

    Raises:
        ValidationFailed: the budget is no budget, smaller somewhere, or nothing more could be drawn.
    """
    listed = resources.settings.max_listed_faults
    before = AnalysisRequest.model_validate(row.spec)
    given = {
        field: value
        for field, value in extension.budget.model_dump(exclude_unset=True).items()
        if value is not None or field == "max_total_tokens"
    }
    try:
        budget = Budget.model_validate({**before.budget.model_dump(), **given})
    except ValidationError as error:
        detail = str(error.errors(include_url=False)[0]["ctx"]["error"])
        raise refusal([Finding("invalid_budget", detail, "/budget")], listed=listed) from error
    refuse([*_smaller(before.budget, budget)], listed=listed)
    request = before.model_copy(update={"budget": budget, "deadline_seconds": extension.deadline_seconds})
    if row.status == "succeeded" and not row.partial:
        refuse([*_idle(before, request)], listed=listed)
    return request


def _smaller(before: Budget, budget: Budget) -> Iterator[Finding]:
    for field in ("samples_per_prompt", "max_samples_per_prompt", "untruncated_samples_per_prompt"):
        had, wanted = getattr(before, field), getattr(budget, field)
        if wanted < had:
            yield _not_larger(f"{field} is {had:,} already; what was drawn stays", field)
    had, wanted = before.max_total_tokens, budget.max_total_tokens
    if wanted is not None and (had is None or wanted < had):
        stands = "without a limit" if had is None else f"{had:,} already"
        yield _not_larger(f"max_total_tokens is {stands}; what was drawn stays", "max_total_tokens")


def _idle(before: AnalysisRequest, request: AnalysisRequest) -> Iterator[Finding]:
    """A budget under which nothing could be drawn that was not allowed before."""
    sides = [request.reference, *filter(None, [request.candidate])]
    if all(isinstance(side, ImportParticipant) for side in sides):
        yield _not_larger("every side is an imported log, to which nothing can be added", None)
        return
    had, wants = _drawable(before), _drawable(request)
    if had == wants:
        fields = ", ".join(sorted(had))
        how = "adaptive" if request.budget.adaptive else "a fixed plan"
        yield _not_larger(f"under {how} a larger budget is a larger {fields}", None)


def _drawable(request: AnalysisRequest) -> Mapping[str, int | None]:
    """The parts of a budget that the plan of a request follows."""
    budget = request.budget
    parts: dict[str, int | None] = {"samples_per_prompt": budget.samples_per_prompt}
    imported = any(isinstance(side, ImportParticipant) for side in (request.reference, request.candidate))
    if budget.adaptive and not imported:
        parts |= {
            "max_samples_per_prompt": budget.max_samples_per_prompt,
            "max_total_tokens": budget.max_total_tokens,
        }
    if untruncated_draws(request):
        parts["untruncated_samples_per_prompt"] = budget.untruncated_samples_per_prompt
    return parts


def _not_larger(detail: str, field: str | None) -> Finding:
    return Finding("budget_not_larger", detail, "/budget" if field is None else f"/budget/{field}")


def _replay(resources: Resources, key: str | None, digest: str) -> Accepted | None:
    earlier = replayed(resources, ROUTE, key, digest)
    return None if earlier is None else Accepted(Analysis.model_validate(earlier), replayed=True)
