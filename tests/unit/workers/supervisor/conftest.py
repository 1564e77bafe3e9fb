"""An accepted analysis in a ledger of its own."""

import pytest

from ledger import analyses, models
from ledger.claims import claim_next
from ledger.database import connect, migrate, write
from ledger.workers import WorkerIdentity

WORKER = WorkerIdentity(id="w-1", boot_id="b-1", host="h")
SPEC = {
    "reference": {"source": "model", "model": "tiny"},
    "candidate": None,
    "prompts": {"inline": [{"id": "p0", "prompt": "1+1="}]},
    "policy": {},
    "seed": 1,
}


@pytest.fixture
def engine(tmp_path):
    url = f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    migrate(url)
    engine = connect(url)
    yield engine
    engine.dispose()


@pytest.fixture
def register(engine):
    def put(model_id="tiny", digest="d1", **columns):
        record = {"id": model_id, "kind": "model", "path": f"/m/{model_id}", "state": "ready"}
        with write(engine) as conn:
            models.upsert(conn, "default", record | {"weights_digest": digest} | columns)

    return put


@pytest.fixture
def submit(engine):
    def create(analysis_id="anl_1", spec=SPEC):
        with write(engine) as conn:
            analyses.create(
                conn,
                tenant_id="default",
                analysis_id=analysis_id,
                kind="support",
                name=None,
                labels={},
                spec=spec,
                spec_sha256="0" * 64,
                deadline_seconds=None,
                retention_seconds=None,
            )

    return create


@pytest.fixture
def claim(engine):
    return lambda lease_seconds=60.0: claim_next(engine, WORKER, lease_seconds=lease_seconds)
