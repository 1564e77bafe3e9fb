"""Accepting an analysis: checked, committed with its first shard, and announced to the workers."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from api_schemas.analyses import Analysis
from api_schemas.plans import AnalysisPlan
from api_schemas.prompts import DatasetPrompts
from api_schemas.requests import AnalysisRequest
from ledger import analyses, datasets, imports, uses
from ledger.database import read, write
from ledger.errors import Conflict as LedgerConflict
from ledger.ids import new_id
from service.analyses.admission import admit
from service.analyses.model_checks import imported_sides
from service.analyses.planning import plan_of
from service.analyses.prompt_source import PromptSource
from service.analyses.quotas import require_place
from service.analyses.representation import represent
from service.errors import Conflict
from service.replays import remember, replayed
from service.resources import Resources

ROUTE: Final = "POST /v1/analyses"


@dataclass(frozen=True, slots=True)
class Accepted:
    """An accepted analysis, and whether an earlier request had created it."""

    analysis: Analysis
    replayed: bool


def submit(resources: Resources, request: AnalysisRequest, *, key: str | None) -> Accepted:
    """Accept an analysis.

    The idempotency row is written in the transaction that creates the analysis, so that a request repeated
    after any failure finds either both or neither.

    Args:
        resources: The gateway's resources.
        request: A request that keeps the contract.
        key: The caller's idempotency key.

    Raises:
        ValidationFailed: it cannot be carried out, or the key was used for another request.
        TooManyRequests: the tenant has as much open as it may.
        Unavailable: the service is overloaded.
    """
    digest = digest_of(request.model_dump(mode="json", exclude_unset=True, by_alias=True))
    if (earlier := _replay(resources, key, digest)) is not None:
        return earlier
    complete = request.completed()
    admit(resources, request, complete)
    try:
        analysis = _commit(resources, complete, key, digest)
    except LedgerConflict:
        # Another request with this key committed meanwhile; its row kept ours from existing.
        if (earlier := _replay(resources, key, digest)) is None:
            raise
        return earlier
    resources.wakeups.send()
    return Accepted(analysis, replayed=False)


def plan(resources: Resources, request: AnalysisRequest) -> AnalysisPlan:
    """What a request would do; nothing is stored.

    Raises:
        ValidationFailed: it cannot be carried out.
    """
    complete = request.completed()
    admitted = admit(resources, request, complete)
    with read(resources.engine) as conn:
        return plan_of(
            conn,
            resources.tenant,
            complete,
            admitted.source.count,
            admitted.models,
            demonstrations=_demonstrations(resources, complete, admitted.source),
            reuses=resources.settings.sample_cache,
        )


def _demonstrations(resources: Resources, request: AnalysisRequest, source: PromptSource) -> int:
    """Demonstrations that are scored; those of prompts whose signal does not read them are not."""
    if request.signal.kind != "demonstrations":
        return 0
    return sum(len(prompt.demonstrations or ()) for prompt in source.prompts(resources))


def _commit(resources: Resources, request: AnalysisRequest, key: str | None, digest: str) -> Analysis:
    spec = request.model_dump(mode="json", by_alias=True)
    with write(resources.engine) as conn:
        require_place(conn, resources)
        row = analyses.create(
            conn,
            tenant_id=resources.tenant,
            analysis_id=new_id("anl"),
            kind=request.kind,
            name=request.name,
            labels=request.labels,
            spec=spec,
            spec_sha256=digest_of(spec),
            deadline_seconds=request.deadline_seconds,
            retention_seconds=resources.settings.retention_seconds,
        )
        _hold(conn, resources.tenant, row.id, request)
        analysis = represent(conn, row)
        remember(conn, resources, ROUTE, key, digest, analysis, created=row.id)
    return analysis


def _hold(conn: Connection, tenant: str, analysis_id: str, request: AnalysisRequest) -> None:
    """Keep what the request names from being deleted while the analysis is there."""
    held = list(imported_sides(request).values())
    for import_id in held:
        if imports.get(conn, tenant, import_id) is None:
            raise Conflict("an import was deleted meanwhile; upload it again", code="import_deleted")
    if isinstance(request.prompts, DatasetPrompts):
        held.append(request.prompts.dataset)
        if datasets.get(conn, tenant, request.prompts.dataset, keep=True) is None:
            raise Conflict("the data set was deleted meanwhile; upload it again", code="dataset_deleted")
    uses.record(conn, analysis_id, held)


def _replay(resources: Resources, key: str | None, digest: str) -> Accepted | None:
    earlier = replayed(resources, ROUTE, key, digest)
    return None if earlier is None else Accepted(Analysis.model_validate(earlier), replayed=True)


def digest_of(document: Mapping[str, Any]) -> str:
    """Hash of the canonical form of a JSON document."""
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
