"""Who is working, and which models each has loaded."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Row, insert, select, update

from ledger.clock import microseconds, now_us
from ledger.database import write
from ledger.tables import workers


@dataclass(frozen=True, slots=True)
class WorkerIdentity:
    """Who holds a lease.

    Attributes:
        id: The worker's name, the same after a restart.
        boot_id: Fresh for every start of its process, so a dead one's leases can be freed at once.
        host: Machine it runs on.
    """

    id: str
    boot_id: str
    host: str


def seen(engine: Engine, worker: WorkerIdentity, resident: Collection[str]) -> None:
    """Record a sign of life.

    Args:
        engine: The ledger.
        worker: Who is alive.
        resident: Weights digests it has loaded.
    """
    with write(engine) as conn:
        now = now_us(conn)
        state = {
            "boot_id": worker.boot_id,
            "host": worker.host,
            "resident": sorted(resident),
            "seen_at": now,
        }
        known = conn.execute(
            select(workers.c.boot_id).where(workers.c.id == worker.id).with_for_update()
        ).scalar_one_or_none()
        if known is None:
            conn.execute(insert(workers).values(id=worker.id, started_at=now, **state))
            return
        anew = {"started_at": now, "retired_at": None, "retired_because": None}
        started = {} if known == worker.boot_id else anew
        conn.execute(update(workers).where(workers.c.id == worker.id).values(**state, **started))


def retire(engine: Engine, worker: WorkerIdentity, because: str) -> None:
    """Record that a worker takes itself out of service: it gets no wake-ups any more.

    Args:
        engine: The ledger.
        worker: Who.
        because: Why, for operators.
    """
    with write(engine) as conn:
        known = (workers.c.id == worker.id) & (workers.c.boot_id == worker.boot_id)
        retired = {"retired_at": now_us(conn), "retired_because": because}
        conn.execute(update(workers).where(known).values(**retired))


def live(conn: Connection, *, within_seconds: float = 30.0) -> Sequence[Row[Any]]:
    """Workers seen lately and not retired, by id."""
    since = now_us(conn) - microseconds(within_seconds)
    active = select(workers).where(workers.c.seen_at >= since, workers.c.retired_at.is_(None))
    return conn.execute(active.order_by(workers.c.id)).all()
