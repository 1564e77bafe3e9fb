from sqlalchemy import update

from ledger.database import read, write
from ledger.tables import workers
from ledger.workers import WorkerIdentity, live, seen


def test_seen_and_forgotten(bench):
    seen(bench.engine, WorkerIdentity("w1", "b1", "h"), {"m2", "m1"})
    seen(bench.engine, WorkerIdentity("w2", "b2", "h"), ())
    with read(bench.engine) as conn:
        rows = live(conn)
        assert [(row.id, row.resident) for row in rows] == [("w1", ["m1", "m2"]), ("w2", [])]
    with write(bench.engine) as conn:
        conn.execute(update(workers).where(workers.c.id == "w2").values(seen_at=1))
        assert [row.id for row in live(conn)] == ["w1"]


def test_a_restart_is_a_new_start(bench):
    first = WorkerIdentity("w1", "b1", "h")
    seen(bench.engine, first, ())
    with write(bench.engine) as conn:
        conn.execute(update(workers).values(started_at=1))
    seen(bench.engine, first, ())
    with read(bench.engine) as conn:
        assert live(conn)[0].started_at == 1
    seen(bench.engine, WorkerIdentity("w1", "b2", "h"), ())
    with read(bench.engine) as conn:
        (row,) = live(conn)
    assert (row.boot_id, row.started_at == row.seen_at) == ("b2", True)
