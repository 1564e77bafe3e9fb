"""Where the time of an analysis went, by the ledger's own clocks."""

import math
from collections.abc import Sequence

from sqlalchemy import Engine, select

from ledger.database import read
from ledger.states import Work
from ledger.tables import analyses, attempts, shards

SECONDS = 1e-6
"""The ledger counts microseconds."""
NO_SHARD = "no shard"
ENGINE = (Work.SAMPLE, Work.SCORE)
"""What draws or scores; the rest plans, judges and estimates."""


def attempts_of(ledger: Engine, analysis_id: str) -> list[tuple[str, int, int]]:
    """Work, start and end of each shard's attempt, microseconds, by start."""
    query = (
        select(shards.c.work, attempts.c.started_at, attempts.c.ended_at)
        .join(shards, shards.c.id == attempts.c.shard_id)
        .where(shards.c.analysis_id == analysis_id, attempts.c.ended_at.is_not(None))
        .order_by(attempts.c.started_at)
    )
    with read(ledger) as conn:
        return [(row.work, row.started_at, row.ended_at) for row in conn.execute(query)]


def wall(ledger: Engine, analysis_id: str) -> float:
    """Seconds from acceptance to the end."""
    accepted, ended = _span(ledger, analysis_id)
    return SECONDS * (ended - accepted)


def wait(ledger: Engine, analysis_id: str) -> float:
    """Seconds from acceptance until a worker starts the first shard."""
    return SECONDS * (attempts_of(ledger, analysis_id)[0][1] - _span(ledger, analysis_id)[0])


def shares(ledger: Engine, analysis_id: str) -> dict[str, float]:
    """Shares of the wall time by a shard's work, and of no shard under `NO_SHARD`; they add up to 1.

    Where shards of several works run at once, the time counts for the first of them in the order sample,
    score, verify, plan, finalise: what goes on beside the engine costs nobody any.
    """
    query = (
        select(shards.c.work, attempts.c.started_at, attempts.c.engine_seconds)
        .join(shards, shards.c.id == attempts.c.shard_id)
        .where(shards.c.analysis_id == analysis_id, attempts.c.engine_seconds.is_not(None))
    )
    with read(ledger) as conn:
        rows = conn.execute(query).all()
    found: dict[str, float] = {}
    covered: list[tuple[float, float]] = []
    for work in (*ENGINE, Work.VERIFY, Work.PLAN, Work.FINALISE):
        before = covered_seconds(covered)
        covered += [
            (SECONDS * row.started_at, SECONDS * row.started_at + row.engine_seconds)
            for row in rows
            if row.work == work
        ]
        found[work] = (covered_seconds(covered) - before) / wall(ledger, analysis_id)
    return {**found, NO_SHARD: 1.0 - sum(found.values())}


def pace(ledger: Engine, analysis_id: str) -> float:
    """Tokens that were drawn or scored in a second of the shards that did it."""
    query = (
        select(shards.c.usage, attempts.c.engine_seconds)
        .join(shards, shards.c.id == attempts.c.shard_id)
        .where(shards.c.analysis_id == analysis_id, shards.c.work.in_(ENGINE))
    )
    with read(ledger) as conn:
        rows = conn.execute(query).all()
    tokens = sum(row.usage["sampled_tokens"] + row.usage["scored_tokens"] for row in rows)
    return float(tokens / sum(row.engine_seconds for row in rows))


def covered_seconds(spans: Sequence[tuple[float, float]]) -> float:
    """Length of the union of spans, each a start and an end."""
    total, reached = 0.0, -math.inf
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def _span(ledger: Engine, analysis_id: str) -> tuple[int, int]:
    with read(ledger) as conn:
        row = conn.execute(select(analyses).where(analyses.c.id == analysis_id)).one()
    return row.created_at, row.finished_at
