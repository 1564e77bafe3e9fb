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
