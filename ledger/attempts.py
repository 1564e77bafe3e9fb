"""One row for every time a shard was claimed: the audit of epochs, and where cost is summed."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, insert, select, update

from ledger.clock import now_us
from ledger.tables import attempts, shards
from ledger.workers import WorkerIdentity


def begin(conn: Connection, shard: Row[Any], worker: WorkerIdentity) -> None:
    """Record that ``worker`` holds the shard, a row just claimed, under its epoch and from its start."""
    row = {
        "shard_id": shard.id,
        "epoch": shard.epoch,
        "tenant_id": shard.tenant_id,
        "worker_id": worker.id,
        "boot_id": worker.boot_id,
        "started_at": shard.started_at,
    }
    conn.execute(insert(attempts), row)


def end(
    conn: Connection,
    shard_ids: Collection[str],
    *,
    outcome: str,
    detail: str | None = None,
    engine_seconds: float | None = None,
    at: int | None = None,
) -> None:
    """Close the open attempt of each shard, if it has one.

    Args:
        conn: The transaction that moves the shards.
        shard_ids: Shards that stopped running.
        outcome: ``done``, ``released``, ``failed``, ``crashed``, ``lost`` or ``cancelled``.
        detail: What happened, for operators.
        engine_seconds: Seconds of engine time spent.
        at: When, by the database's clock; now by default.
    """
    conn.execute(
        update(attempts)
        .where(attempts.c.shard_id.in_(list(shard_ids)), attempts.c.ended_at.is_(None))
        .values(
            ended_at=now_us(conn) if at is None else at,
            outcome=outcome,
            detail=detail,
            engine_seconds=engine_seconds,
        )
    )


def losses() -> ColumnElement[int]:
    """How often the shard of an enclosing query was lost with its supervisor or its lease."""
    counted = select(func.count()).where(attempts.c.shard_id == shards.c.id, attempts.c.outcome == "lost")
    return counted.correlate(shards).scalar_subquery()


def first_crash_at(conn: Connection, shard_id: str) -> int | None:
    """When an engine first died on this shard; None if none has."""
    first: int | None = conn.execute(
        select(func.min(attempts.c.ended_at)).where(
            attempts.c.shard_id == shard_id, attempts.c.outcome == "crashed"
        )
    ).scalar_one()
    return first
