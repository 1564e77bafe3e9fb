"""Tokens that an analysis has models read although they did not draw them."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row

from api_schemas.plans import PlannedRange
from api_schemas.requests import AnalysisRequest
from service.analyses.model_checks import sides
from service.analyses.plan_checks import proposing_arms, untruncated_draws


def scored_tokens(
    request: AnalysisRequest, prompts: int, demonstrations: int, models: Mapping[str, Row[Any]]
) -> PlannedRange:
    """Tokens that are scored, if every text is as long as it may be.

    Each pilot is read once by every model that scores it, and each demonstration by all models; a teacher
    reads what every side drew. Of later rounds candidates' successes are scored, all samples at most;
    `free_energy` has none. Where arms' samples speak for the reference, it reads their successes: all that
    they draw at most.

    Args:
        request: The completed request.
        prompts: How many prompts it has.
        demonstrations: How many demonstrations these have together, where the signal reads them.
        models: Registry rows of its models, by id.
    """
    budget, candidates = request.budget, _candidates(request, models)
    teachers = int(request.teacher is not None)
    pilot = prompts * budget.samples_per_prompt
    beside = 2 * (candidates - 1) if request.score_neighbours and candidates else 0
    readings = pilot * (2 * candidates + beside + teachers * (1 + candidates))
    readings += prompts * untruncated_draws(request) * min(candidates, 1)
    readings += demonstrations * (1 + candidates + teachers)
    adaptive = budget.adaptive and request.kind != "free_energy"
    further = prompts * (budget.max_samples_per_prompt - budget.samples_per_prompt) if adaptive else 0
    most = readings + candidates * further + prompts * _arm_draws(request)
    length = request.policy.max_new_tokens
    return PlannedRange(pilot=readings * length, maximum=most * length)


def _arm_draws(request: AnalysisRequest) -> int:
    """Samples of a prompt, at most, that arms draw and the reference may read; as long as its own at most."""
    if not request.share_proposals:
        return 0
    budget = request.budget
    each = budget.max_samples_per_prompt if budget.adaptive else budget.samples_per_prompt
    return proposing_arms(request) * each


def _candidates(request: AnalysisRequest, models: Mapping[str, Row[Any]]) -> int:
    """Candidates that share the reference's tokenizer; nothing is scored across two."""
    named = sides(request)
    if "/reference/model" not in named:
        return 0
    tokenizer = models[named.pop("/reference/model")].tokenizer_digest
    return sum(models[model_id].tokenizer_digest == tokenizer for model_id in named.values())
