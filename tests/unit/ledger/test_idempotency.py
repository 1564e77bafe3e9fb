import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger.analyses import create
from ledger.database import read, write
from ledger.errors import Conflict
from ledger.idempotency import find, store
from ledger.ids import new_id
from ledger.tables import analyses

ROUTE = "POST /v1/analyses"


def keep(conn, key, *, tenant_id="default", route=ROUTE, analysis_id=None):
    store(
        conn,
        tenant_id=tenant_id,
        route=route,
        key=key,
        request_sha256="abc",
        status=202,
        response={"id": analysis_id},
        analysis_id=analysis_id,
    )


def test_found_again_and_scoped(bench):
    with write(bench.engine) as conn:
        assert find(conn, "default", ROUTE, "k") is None
        keep(conn, "k", analysis_id="anl_1")
        keep(conn, "k", tenant_id="other")
        keep(conn, "k", route="POST /v1/datasets")
    with read(bench.engine) as conn:
        row = find(conn, "default", ROUTE, "k")
    assert (row.request_sha256, row.status, row.response) == ("abc", 202, {"id": "anl_1"})


def test_one_of_many_requests_with_a_key_makes_the_analysis(bench):
    start = threading.Barrier(8)

    def post(_):
        start.wait()
        try:
            with write(bench.engine) as conn:
                row = create(
                    conn,
                    tenant_id="default",
                    analysis_id=new_id("anl"),
                    kind="support",
                    name=None,
                    labels={},
                    spec={},
                    spec_sha256="0",
                    deadline_seconds=None,
                    retention_seconds=None,
                )
                keep(conn, "k", analysis_id=row.id)
        except Conflict:
            return 0
        return 1

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(post, range(8))) == 1
    with read(bench.engine) as conn:
        (row,) = conn.execute(analyses.select()).all()
        assert find(conn, "default", ROUTE, "k").analysis_id == row.id


def test_a_taken_key_is_a_conflict(bench):
    with write(bench.engine) as conn:
        keep(conn, "k")
    with pytest.raises(Conflict), write(bench.engine) as conn:
        keep(conn, "k")
