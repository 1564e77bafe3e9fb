import os

import pytest
from sqlalchemy import update

from ledger import idempotency as keys
from ledger.artefacts import ArtefactStore
from ledger.commits import commit, commit_finalise
from ledger.database import read, write
from ledger.retention import collect
from ledger.tables import idempotency


@pytest.fixture
def store(tmp_path):
    return ArtefactStore(tmp_path / "artefacts")


def put_old(store, key):
    store.put(key, b"rows")
    path = store.path_of(key)
    os.utime(path, (path.stat().st_mtime - 90_000,) * 2)


def test_analyses_go_when_their_time_is_over_and_only_then(bench, store):
    ended, kept, live = bench.submit(retention_seconds=0), bench.submit(), bench.submit(retention_seconds=0)
    for analysis_id in (ended, kept):
        bench.cancel(analysis_id)
    for analysis_id in (ended, kept, live):
        store.put(f"default/{analysis_id}/result.json", b"{}")
    bench.set_analysis(ended, retained_until=1)
    assert collect(bench.engine, store) == 1
    assert collect(bench.engine, store) == 0
    assert bench.shards(ended) == []
    assert not store.path_of(f"default/{ended}").exists()
    for analysis_id in (kept, live):
        assert bench.analysis(analysis_id)
        assert store.path_of(f"default/{analysis_id}/result.json").exists()


def test_only_old_artefacts_that_nobody_names_are_orphans(bench, store):
    analysis_id = bench.started()
    claim = bench.claim()
    committed, stale, young, final = (f"default/{analysis_id}/{name}" for name in "abcd")
    for key in (committed, stale, final):
        put_old(store, key)
    store.put(young, b"rows")
    put_old(store, "default/anl_gone/a")
    artefact = {"key": committed, "sha256": "0" * 64, "n_rows": 8}
    commit(bench.engine, claim, artefact=artefact, usage={})
    bench.cancel(analysis_id)
    stored = {"key": final, "sha256": "0" * 64, "bytes": 4, "media_type": "text/html"}
    commit_finalise(bench.engine, bench.claim(), artifacts={"report.html": stored}, usage={})
    assert collect(bench.engine, store) == 2
    left = {path.relative_to(store.root).as_posix() for path in store.root.rglob("*") if path.is_file()}
    assert left == {committed, young, final}


def test_old_idempotency_keys_are_forgotten(bench, store):
    with write(bench.engine) as conn:
        for key in ("old", "new"):
            keys.store(
                conn,
                tenant_id="default",
                route="POST /v1/analyses",
                key=key,
                request_sha256="0",
                status=202,
                response={},
                analysis_id=None,
            )
        conn.execute(update(idempotency).where(idempotency.c.key == "old").values(created_at=1))
    collect(bench.engine, store)
    with read(bench.engine) as conn:
        found = [keys.find(conn, "default", "POST /v1/analyses", key) for key in ("old", "new")]
    assert found[0] is None
    assert found[1].status == 202
