"""Accepting an analysis: checked, committed with its first shard, and announced to the workers."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from api_schemas.analyses import Analysis
from api_schemas.prompts import DatasetPrompts
from api_schemas.requests import AnalysisRequest
from ledger import analyses, datasets, idempotency, models, uses
from ledger.database import read, write
from ledger.errors import Conflict as LedgerConflict
from ledger.ids import new_id
from service.analyses.arm_checks import check_arms, check_metadata
from service.analyses.audit_checks import check_audit
from service.analyses.findings import Finding, refuse
from service.analyses.model_checks import check_models, reward_models, sides
from service.analyses.plan_checks import check_plan
from service.analyses.prompt_source import prompt_source
from service.analyses.representation import represent
from service.analyses.signal_checks import check_signal
from service.errors import Conflict, ValidationFailed
from service.offers import Offers
from service.resources import Resources
from service.settings import REGISTRY_TENANT

ROUTE: Final = "POST /v1/analyses"
ACCEPTED: Final = 202
OFFERED_MODELS: Final = 50
"""Ids named to a caller who mistyped one: enough for a registry that is read by people."""


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
    """
    digest = _digest(request.model_dump(mode="json", exclude_unset=True))
    if (earlier := _replay(resources, key, digest)) is not None:
        return earlier
    complete = request.completed()
    _check(resources, request, complete)
    try:
        analysis = _commit(resources, complete, key, digest)
    except LedgerConflict:
        # Another request with this key committed meanwhile; its row kept ours from existing.
        if (earlier := _replay(resources, key, digest)) is None:
            raise
        return earlier
    resources.wakeups.send()
    return Accepted(analysis, replayed=False)


def _check(resources: Resources, given: AnalysisRequest, request: AnalysisRequest) -> None:
    """Check a request; only its arms as they were given, before they are completed."""
    settings = resources.settings
    with read(resources.engine) as conn:
        found = {
            model_id: row
            for model_id in {*sides(request).values(), *reward_models(request).values()}
            if (row := models.get(conn, REGISTRY_TENANT, model_id)) is not None
        }
        known = [row.id for row in models.list_page(conn, REGISTRY_TENANT, limit=OFFERED_MODELS)]
        source = prompt_source(conn, resources.tenant, request.prompts)
    findings = [*check_models(request, found, known), *check_arms(given)]
    if isinstance(source, Finding):
        refuse([*findings, source], listed=settings.max_listed_faults)
        raise AssertionError("unreachable: there is a finding")
    prompts = source.prompts(resources)
    judged = check_signal(
        request.signal, prompts, max_patterns=settings.max_distinct_patterns, offers=Offers.of(settings)
    )
    findings += source.placed(
        check_metadata(given.arms, source.prompts(resources)), listed=settings.max_listed_faults
    )
    if request.second_signal is not None:
        again = check_signal(
            request.second_signal,
            source.prompts(resources),
            max_patterns=settings.max_distinct_patterns,
            offers=Offers.of(settings),
            at="/second_signal",
        )
        findings += source.placed(again, listed=settings.max_listed_faults)
    if request.audit is not None:
        findings += check_audit(request.audit, source.prompts(resources))
    findings += check_plan(request, source, max_samples=settings.max_planned_samples)
    findings += source.placed(judged, listed=settings.max_listed_faults)
    refuse(findings, listed=settings.max_listed_faults)


def _commit(resources: Resources, request: AnalysisRequest, key: str | None, digest: str) -> Analysis:
    spec = request.model_dump(mode="json")
    with write(resources.engine) as conn:
        row = analyses.create(
            conn,
            tenant_id=resources.tenant,
            analysis_id=new_id("anl"),
            kind=request.kind,
            name=request.name,
            labels=request.labels,
            spec=spec,
            spec_sha256=_digest(spec),
            deadline_seconds=request.deadline_seconds,
            retention_seconds=resources.settings.retention_seconds,
        )
        _hold(conn, resources.tenant, row.id, request)
        analysis = represent(conn, row)
        if key is not None:
            idempotency.store(
                conn,
                tenant_id=resources.tenant,
                route=ROUTE,
                key=key,
                request_sha256=digest,
                status=ACCEPTED,
                response=analysis.model_dump(mode="json"),
                analysis_id=analysis.id,
            )
    return analysis


def _hold(conn: Connection, tenant: str, analysis_id: str, request: AnalysisRequest) -> None:
    """Keep what the request names from being deleted while the analysis is there."""
    if not isinstance(request.prompts, DatasetPrompts):
        return
    dataset_id = request.prompts.dataset
    if datasets.get(conn, tenant, dataset_id, keep=True) is None:
        raise Conflict("the data set was deleted meanwhile; upload it again", code="dataset_deleted")
    uses.record(conn, analysis_id, [dataset_id])


def _replay(resources: Resources, key: str | None, digest: str) -> Accepted | None:
    if key is None:
        return None
    with read(resources.engine) as conn:
        stored = idempotency.find(conn, resources.tenant, ROUTE, key)
    if stored is None:
        return None
    if stored.request_sha256 != digest:
        raise ValidationFailed(
            "this Idempotency-Key was used for another request; use a new key for a new request",
            code="idempotency_key_reused",
        )
    return Accepted(Analysis.model_validate(stored.response), replayed=True)


def _digest(document: Mapping[str, Any]) -> str:
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
