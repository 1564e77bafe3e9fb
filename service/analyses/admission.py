"""Whether a request can be carried out here and now."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row

from api_schemas.requests import AnalysisRequest
from ledger import models
from ledger.database import read
from service.analyses.arm_checks import check_arms, check_metadata
from service.analyses.audit_checks import check_audit
from service.analyses.findings import Finding, refusal, refuse
from service.analyses.import_checks import check_imports
from service.analyses.model_checks import check_models, participants, reward_models
from service.analyses.plan_checks import check_plan
from service.analyses.prompt_source import PromptSource, prompt_source
from service.analyses.signal_checks import check_signal
from service.analyses.teacher_checks import check_teacher
from service.offers import Offers
from service.resources import Resources
from service.settings import REGISTRY_TENANT

OFFERED_MODELS: Final = 50
"""Ids named to a caller who mistyped one: enough for a registry that is read by people."""

UNKNOWN_DATASET: Final = Finding(
    "unknown_dataset",
    "there is no such data set; POST /v1/datasets keeps one, GET /v1/datasets lists them",
    "/prompts/dataset",
)


@dataclass(frozen=True, slots=True)
class Admitted:
    """What a request that can be carried out names.

    Attributes:
        models: Registry rows of its models, by id.
        source: Its prompts.
    """

    models: Mapping[str, Row[Any]]
    source: PromptSource


def admit(resources: Resources, given: AnalysisRequest, request: AnalysisRequest) -> Admitted:
    """Check a request that keeps the contract.

    Args:
        resources: The gateway's resources.
        given: The request; its arms are checked as they were given.
        request: The same, completed.

    Raises:
        ValidationFailed: it cannot be carried out; every finding is listed.
    """
    settings = resources.settings
    named = {*participants(request).values(), *reward_models(request).values()}
    with read(resources.engine) as conn:
        found = {
            model_id: row
            for model_id in named
            if (row := models.get(conn, REGISTRY_TENANT, model_id)) is not None
        }
        mistyped = len(found) < len(named)
        known = models.list_page(conn, REGISTRY_TENANT, limit=OFFERED_MODELS) if mistyped else []
        source = prompt_source(conn, resources.tenant, request.prompts)
        unusable = list(check_imports(conn, resources.tenant, request))
    findings = [*check_models(request, found, [row.id for row in known]), *unusable, *check_arms(given)]
    if source is None:
        raise refusal([*findings, UNKNOWN_DATASET], listed=settings.max_listed_faults)
    prompts = source.prompts(resources)
    judged = check_signal(
        request.signal, prompts, max_patterns=settings.max_distinct_patterns, offers=Offers.of(settings)
    )
    told = check_metadata(given.arms, source.prompts(resources))
    findings += source.placed(told, listed=settings.max_listed_faults)
    taught = check_teacher(request, source.prompts(resources))
    findings += source.placed(taught, listed=settings.max_listed_faults)
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
    return Admitted(found, source)
