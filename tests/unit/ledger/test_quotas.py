import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from ledger import quotas
from ledger.database import read, write


def test_open_analyses_are_the_tenants_own_and_no_imports(bench):
    live, ended, _import = bench.submit(), bench.submit(), bench.submit(kind="import")
    bench.submit(tenant_id="other")
    bench.cancel(ended)
    with read(bench.engine) as conn:
        assert quotas.open_analyses(conn, "default") == 1
        assert quotas.open_analyses(conn, "nobody") == 0
    assert bench.analysis(live).status == "queued"


def test_what_runs_does_not_wait(bench):
    bench.started(bench.sample(0), bench.sample(1, prompts=[2]))
    with read(bench.engine) as conn:
        assert quotas.waiting_rows(conn, "default") == 12
    bench.claim()
    with read(bench.engine) as conn:
        assert quotas.waiting_rows(conn, "default") == 4
        assert quotas.waiting_rows(conn, "other") == 0


def test_the_queue_is_as_old_as_its_first(bench):
    with read(bench.engine) as conn:
        assert quotas.queue(conn) == quotas.Queue(0, 0.0)
    first = bench.submit()
    bench.submit(tenant_id="other")
    bench.set_analysis(first, created_at=1)
    with read(bench.engine) as conn:
        queue = quotas.queue(conn)
    assert queue.analyses == 2
    assert queue.longest_seconds > 1e9
    bench.claim()
    bench.claim()
    with read(bench.engine) as conn:
        assert quotas.queue(conn).analyses == 0


def test_two_transactions_of_a_tenant_never_count_at_once(bench):
    """Both would find a place; held, the second counts what the first left."""
    ready = threading.Barrier(4)

    def take(_number):
        ready.wait()
        with write(bench.engine) as conn:
            quotas.hold_tenant(conn, "default")
            if quotas.open_analyses(conn, "default") >= 1:
                return False
            values = {"kind": "support", "name": None, "labels": {}, "spec": {}, "spec_sha256": ""}
            from ledger import analyses
            from ledger.ids import new_id

            analyses.create(
                conn,
                tenant_id="default",
                analysis_id=new_id("anl"),
                deadline_seconds=None,
                retention_seconds=None,
                **values,
            )
            return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(take, range(4))) == [False, False, False, True]


def test_on_postgresql_a_second_transaction_of_the_tenant_waits(postgres_ledger):
    """There two may write at a time: only the lock keeps the second from counting what the first takes."""

    def hold(tenant):
        with write(postgres_ledger) as conn:
            conn.execute(text("SET LOCAL lock_timeout = '50ms'"))
            quotas.hold_tenant(conn, tenant)

    with write(postgres_ledger) as conn:
        quotas.hold_tenant(conn, "default")
        hold("other")
        with pytest.raises(OperationalError, match="lock timeout"):
            hold("default")
    hold("default")
