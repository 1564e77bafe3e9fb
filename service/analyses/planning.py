"""What an analysis would draw, how long that would take, and what it could show."""

import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import Any, Final

from sqlalchemy import Connection, Row

from api_schemas.plans import AnalysisPlan, PlannedFigure, PlannedRange, SmallestDetectable
from api_schemas.requests import AnalysisRequest
from ledger import workers
from ledger.throughput import Pace, recent_pace, settling_seconds
from service.analyses.cached import cached_samples
from service.analyses.plan_checks import (
    arm_lengths,
    arms_have_pilots,
    side_lengths,
    untruncated_draws,
)
from service.analyses.scored_tokens import scored_tokens

POWER: Final = 0.8
"""Chance of noticing the smallest detectable gain: what plans of experiments customarily ask for."""

NOTICE: Final = 0.95
"""Chance that a prompt's smallest detectable success probability shows at least one success."""

ESTIMATES_UNKNOWN: Final = "; planning and estimating come on top, no analysis having ended here yet"

Models = Mapping[str, Row[Any]]


def plan_of(
    conn: Connection,
    tenant: str,
    request: AnalysisRequest,
    prompts: int,
    models: Models,
    *,
    demonstrations: int = 0,
    reuses: bool = True,
) -> AnalysisPlan:
    """The plan of a request that would be accepted.

    Args:
        conn: A transaction.
        tenant: Whose shards show the pace, and whose samples may be reused.
        request: The request.
        prompts: How many prompts it has.
        models: Registry rows of its models, by id.
        demonstrations: How many demonstrations these have together, where the signal reads them.
        reuses: Whether workers read what was drawn before.
    """
    budget = request.budget
    each = budget.max_samples_per_prompt if budget.adaptive else budget.samples_per_prompt
    first = side_lengths(request) + arm_lengths(request) * arms_have_pilots(request)
    every = side_lengths(request) + arm_lengths(request)
    further = prompts * untruncated_draws(request)
    samples = PlannedRange(
        pilot=prompts * len(first) * budget.samples_per_prompt + further,
        maximum=prompts * len(every) * each + further,
    )
    extra, limit = further * request.policy.max_new_tokens, budget.max_total_tokens
    pilot = prompts * budget.samples_per_prompt * sum(first) + extra
    most = prompts * each * sum(every) + extra
    tokens = PlannedRange(pilot=pilot, maximum=most if limit is None else min(most, limit))
    cached = cached_samples(conn, tenant, request, prompts, models) if reuses else 0
    found = cached * request.policy.max_new_tokens
    scored = scored_tokens(request, prompts, demonstrations, models)
    return AnalysisPlan(
        object="analysis.plan",
        prompts=prompts,
        samples=samples,
        tokens=tokens,
        scored_tokens=scored,
        cached_samples=cached,
        seconds=_seconds(conn, tenant, models, samples.pilot, tokens.pilot - found, scored.pilot),
        maximum_seconds=_seconds(
            conn, tenant, models, samples.maximum, max(0, tokens.maximum - found), scored.maximum
        ),
        smallest_detectable=SmallestDetectable(gain=_gain(request, prompts), success=_success(request)),
    )


def _seconds(
    conn: Connection,
    tenant: str,
    models: Models,
    samples: int,
    tokens: int,
    scored: int,
) -> PlannedFigure:
    """Engine time by the pace of the newest shards, shared by the workers seen lately.

    Tokens are those that have to be drawn; samples, found or drawn, are all judged; scored are tokens too.
    Planning and estimating go with what is judged, and no second worker shares them.
    """
    keys = frozenset(row.weights_digest for row in models.values())
    sampling = recent_pace(conn, tenant, "sample", keys)
    verifying = recent_pace(conn, tenant, "verify", frozenset())
    if sampling is None or verifying is None or sampling.tokens == 0:
        return _unknown_pace("sampled")
    total = tokens * sampling.seconds / sampling.tokens + samples * verifying.seconds / verifying.rows
    if scored:
        scoring = recent_pace(conn, tenant, "score", keys)
        if scoring is None or scoring.tokens == 0:
            return _unknown_pace("scored")
        total += scored * scoring.seconds / scoring.tokens
    hands = max(1, len(workers.live(conn)))
    settling = settling_seconds(conn, tenant)
    alone = samples * (settling or 0.0)
    reason = _basis(sampling, hands) + (ESTIMATES_UNKNOWN if settling is None else "")
    return PlannedFigure(value=total / hands + alone, unit="s", reason=reason)


def _unknown_pace(work: str) -> PlannedFigure:
    return PlannedFigure(value=None, unit="s", reason=f"nothing was {work} here yet, so no pace is known")


def _basis(pace: Pace, hands: int) -> str:
    whose = "of these models" if pace.same_model else "of other models"
    rate = pace.tokens / pace.seconds
    workers_named = f"{hands} worker{'s' if hands > 1 else ''}"
    return (
        f"by the pace of recent shards {whose} ({rate:,.0f} tokens a second), shared by {workers_named}, if "
        "every sample is as long as it may be"
    )


def _gain(request: AnalysisRequest, prompts: int) -> PlannedFigure:
    """Smallest mean gain over exactly these prompts that a one-sided test of the pilots notices.

    (z_(1-alpha) + z_power) standard errors, where each side of a prompt has the variance 1/(4n) of a success
    probability of 1/2, the largest there is.
    """
    if request.candidate is None:
        return PlannedFigure(value=None, unit="probability", reason="there is no candidate")
    alpha, n = request.decision.alpha, request.budget.samples_per_prompt
    deviations = NormalDist().inv_cdf(1 - alpha) + NormalDist().inv_cdf(POWER)
    return PlannedFigure(
        value=min(1.0, deviations * math.sqrt(2 * 0.25 / (n * prompts))),
        unit="probability",
        reason=f"mean over exactly these prompts, one-sided at {alpha:g} with power {POWER:g}, if success "
        "probabilities are near 1/2; further from it less is enough. How much prompts differ is unknown "
        "before there are samples, so for a population of prompts it is more",
    )


def _success(request: AnalysisRequest) -> PlannedFigure:
    """Success probability that shows at least one success in n samples: 1 - (1 - NOTICE)^(1/n)."""
    n = request.budget.samples_per_prompt
    return PlannedFigure(
        value=-math.expm1(math.log1p(-NOTICE) / n),
        unit="probability",
        reason=f"of one prompt and side: at least one success in {n} samples, {NOTICE:.0%} of the time",
    )
