"""Following jumps of the wall clock, by which SQLite tells leases."""

from typing import Final

from sqlalchemy import Engine, delete, insert, select, update

from ledger.clock import microseconds
from ledger.database import write
from ledger.states import LIVE_STATUSES, ShardState
from ledger.tables import analyses, clock_marks, shards

SMALLEST_JUMP_SECONDS: Final = 1.0
"""Smaller ones are slewing and scheduling, and a lease has room for them."""


def follow_clock(engine: Engine, *, boot: str, offset_us: int) -> int:
    """Move every lease, wait and deadline by what the wall clock jumped since anybody last looked.

    The mark is in the ledger, so that of several reconcilers on one machine one moves them, and a jump
    while none ran is noticed too.

    Args:
        engine: The ledger.
        boot: Names the machine's start: its steady clock begins anew with it.
        offset_us: Wall clock minus steady clock, in microseconds.

    Returns:
        The jump in microseconds; 0 if there was none.
    """
    with write(engine) as conn:
        mark = conn.execute(select(clock_marks.c.offset_us).where(clock_marks.c.boot == boot)).scalar()
        jump = 0 if mark is None else offset_us - mark
        if mark is not None and abs(jump) < microseconds(SMALLEST_JUMP_SECONDS):
            return 0
        conn.execute(delete(clock_marks))
        conn.execute(insert(clock_marks).values(boot=boot, offset_us=offset_us))
        if jump:
            held = shards.c.state == ShardState.RUNNING.value
            conn.execute(update(shards).where(held).values(lease_until=shards.c.lease_until + jump))
            waits = (shards.c.state == ShardState.READY.value) & (shards.c.not_before > 0)
            conn.execute(update(shards).where(waits).values(not_before=shards.c.not_before + jump))
            live = analyses.c.status.in_([status.value for status in LIVE_STATUSES])
            conn.execute(update(analyses).where(live).values(deadline_at=analyses.c.deadline_at + jump))
    return jump
