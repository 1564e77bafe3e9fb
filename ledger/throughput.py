"""How fast this deployment has worked lately, from what its shards cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, select

from ledger.states import ShardState
from ledger.tables import shards

RECENT_SHARDS: Final = 200
"""Newest shards of a work that are looked at: hours of a busy worker, read in a millisecond."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Engine time of recent shards of one work.

    Attributes:
        seconds: Engine seconds.
        rows: Samples drawn, judged or scored.
        tokens: New tokens sampled, or tokens scored.
        same_model: Whether they all had the models asked for.
    """

    seconds: float
    rows: int
    tokens: int
    same_model: bool


RECENT_ANALYSES: Final = 20
"""Newest analyses whose planning and estimating are looked at."""

SETTLING: Final = ("plan", "finalise")
"""Work whose time goes with what was judged, and which one worker does at a time."""


def settling_seconds(conn: Connection, tenant_id: str) -> float | None:
    """Engine seconds of planning, estimating and reporting per judged sample, of the newest analyses.

    Args:
        conn: A transaction.
        tenant_id: Whose analyses.

    Returns:
        None where none has ended.
    """
    done = (shards.c.tenant_id == tenant_id, shards.c.state == ShardState.DONE.value)
    newest = (
        select(shards.c.analysis_id)
        .where(*done, shards.c.work == "finalise")
        .order_by(shards.c.finished_at.desc())
        .limit(RECENT_ANALYSES)
    )
    theirs = select(shards.c.work, shards.c.usage, shards.c.n_rows).where(
        *done, shards.c.work.in_((*SETTLING, "verify")), shards.c.analysis_id.in_(newest)
    )
    found = conn.execute(theirs).all()
    judged = sum(row.n_rows or 0 for row in found if row.work == "verify")
    seconds = sum(_spent(row.usage, "engine_seconds") for row in found if row.work in SETTLING)
    return seconds / judged if judged and seconds > 0 else None


def recent_pace(conn: Connection, tenant_id: str, work: str, model_keys: frozenset[str]) -> Pace | None:
    """The pace of the newest committed shards of a work; None if there are none.

    Args:
        conn: A transaction.
        tenant_id: Whose shards.
        work: Their work.
        model_keys: Weights digests: shards of these models are preferred to others.
    """
    query = (
        select(shards.c.usage, shards.c.n_rows, shards.c.model_keys)
        .where(
            shards.c.tenant_id == tenant_id,
            shards.c.state == ShardState.DONE.value,
            shards.c.work == work,
        )
        .order_by(shards.c.finished_at.desc())
        .limit(RECENT_SHARDS)
    )
    found = conn.execute(query).all()
    alike = [row for row in found if model_keys & set(row.model_keys)]
    chosen = alike or found
    seconds = sum(_spent(row.usage, "engine_seconds") for row in chosen)
    rows = sum(row.n_rows or 0 for row in chosen)
    if seconds <= 0 or rows == 0:
        return None
    tokens = sum(_spent(row.usage, "sampled_tokens") + _spent(row.usage, "scored_tokens") for row in chosen)
    return Pace(seconds, rows, int(tokens), same_model=bool(alike) or not model_keys)


def _spent(usage: Mapping[str, Any] | None, what: str) -> float:
    return float((usage or {}).get(what) or 0)
