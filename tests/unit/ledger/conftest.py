"""Ledgers on real databases: an SQLite file for every test, and PostgreSQL where it is installed."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from postgres_server import PostgresServer
from sqlalchemy import Engine, Row, select, text, update

from ledger import analyses as verbs
from ledger.claims import claim_next
from ledger.commits import commit, commit_finalise
from ledger.database import connect, migrate, read, write
from ledger.events import after
from ledger.ids import new_id
from ledger.requests import ASKED
from ledger.shards import Claim
from ledger.tables import analyses, attempts, metadata, shards
from ledger.workers import WorkerIdentity

TENANT = "default"


@pytest.fixture(scope="session")
def postgres_ledger(postgres: PostgresServer) -> Iterator[Engine]:
    """A migrated ledger that all tests share, one after the other."""
    url = postgres.new_database()
    migrate(url)
    engine = connect(url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "ledger.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a migrated, empty ledger."""
    if request.param == "sqlite":
        path = tmp_path / "ledger.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    shared: Engine = request.getfixturevalue("postgres_ledger")
    with write(shared) as conn:
        conn.execute(text(f"TRUNCATE {', '.join(metadata.tables)}"))
    yield shared.url.render_as_string(hide_password=False)


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    """URL of a migrated, empty SQLite ledger, where only that matters."""
    path = tmp_path / "ledger.db"
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = connect(url)
    yield engine
    engine.dispose()


@dataclass
class Bench:
    """Drives a ledger as supervisors and clients do, and looks at its rows."""

    engine: Engine
    worker: WorkerIdentity = field(default_factory=lambda: WorkerIdentity("w1", "boot-1", "host"))

    @staticmethod
    def sample(idx: int, prompts: Sequence[int] = (0, 1), n: int = 4, **rest: Any) -> dict[str, Any]:
        items = [[prompt, 0, n] for prompt in prompts]
        return {"idx": idx, "work": "sample", "stream": "reference", "items": items, **rest}

    @staticmethod
    def follow(idx: int, work: str, source: Mapping[str, Any]) -> dict[str, Any]:
        return {**source, "idx": idx, "work": work, "depends_on": source["idx"]}

    def submit(self, tenant_id: str = TENANT, **changes: Any) -> str:
        values: dict[str, Any] = {
            "kind": "capability",
            "name": None,
            "labels": {},
            "spec": {"prompts": {"inline": [{"id": f"p{i}", "prompt": "1+1="} for i in range(8)]}},
            "spec_sha256": "0" * 64,
            "deadline_seconds": None,
            "retention_seconds": None,
        } | changes
        with write(self.engine) as conn:
            return verbs.create(conn, tenant_id=tenant_id, analysis_id=new_id("anl"), **values).id

    def claim(self, worker: WorkerIdentity | None = None, **how: Any) -> Claim:
        claim = claim_next(self.engine, worker or self.worker, **how)
        assert claim is not None
        return claim

    def nothing_to_claim(self) -> bool:
        return claim_next(self.engine, self.worker) is None

    def plan(self, planned: Sequence[Mapping[str, Any]], **rest: Any) -> Claim:
        claim = self.claim(works={"plan"})
        assert commit(self.engine, claim, artefact=None, usage={}, next_shards=planned, **rest)
        return claim

    def started(self, *planned: Mapping[str, Any], **changes: Any) -> str:
        """An analysis whose first plan gave these shards of round 1."""
        analysis_id = self.submit(**changes)
        self.plan(planned or [self.sample(0)])
        return analysis_id

    def commit(self, claim: Claim, **usage: Any) -> bool:
        rows = claim.shard["planned_rows"]
        key = f"{claim.shard['id']}.e{claim.epoch}"
        artefact = {"key": key, "sha256": "f" * 64, "n_rows": rows}
        return commit(self.engine, claim, artefact=artefact, usage=usage or {"samples": rows})

    def finalise(self, claim: Claim, **rest: Any) -> bool:
        stored = {"key": "k", "sha256": "e" * 64, "bytes": 2, "media_type": "application/json"}
        return commit_finalise(self.engine, claim, artifacts={"result.json": stored}, usage={}, **rest)

    def cancel(self, analysis_id: str) -> Row[Any] | None:
        with write(self.engine) as conn:
            return verbs.request_cancel(conn, TENANT, analysis_id)

    def analysis(self, analysis_id: str) -> Row[Any]:
        with read(self.engine) as conn:
            return conn.execute(ASKED.where(analyses.c.id == analysis_id)).one()

    def shard(self, shard_id: str) -> Row[Any]:
        with read(self.engine) as conn:
            return conn.execute(select(shards).where(shards.c.id == shard_id)).one()

    def shards(self, analysis_id: str) -> Sequence[Row[Any]]:
        query = select(shards).where(shards.c.analysis_id == analysis_id)
        with read(self.engine) as conn:
            return conn.execute(query.order_by(shards.c.round, shards.c.idx)).all()

    def states(self, analysis_id: str) -> list[str]:
        return [row.state for row in self.shards(analysis_id)]

    def attempts(self, shard_id: str) -> Sequence[Row[Any]]:
        with read(self.engine) as conn:
            query = select(attempts).where(attempts.c.shard_id == shard_id).order_by(attempts.c.epoch)
            return conn.execute(query).all()

    def events(self, analysis_id: str) -> Sequence[Row[Any]]:
        with read(self.engine) as conn:
            return after(conn, TENANT, analysis_id, 0, 10_000)

    def event_types(self, analysis_id: str) -> list[str]:
        return [event.type for event in self.events(analysis_id)]

    def age_leases(self) -> None:
        """Let every lease run out, as time would."""
        with write(self.engine) as conn:
            conn.execute(update(shards).where(shards.c.lease_until.is_not(None)).values(lease_until=1))

    def set_analysis(self, analysis_id: str, **values: Any) -> None:
        with write(self.engine) as conn:
            conn.execute(update(analyses).where(analyses.c.id == analysis_id).values(**values))

    def snapshot(self, analysis_id: str) -> tuple[Any, ...]:
        """Everything the ledger holds of an analysis."""
        rows = self.shards(analysis_id)
        tries = [tuple(a) for row in rows for a in self.attempts(row.id)]
        events = [tuple(event) for event in self.events(analysis_id)]
        return tuple(self.analysis(analysis_id)), [tuple(row) for row in rows], tries, events


@pytest.fixture
def bench(engine: Engine) -> Bench:
    return Bench(engine)


@pytest.fixture
def new_bench(tmp_path: Path, sqlite_template: Path) -> Callable[[], AbstractContextManager[Bench]]:
    """Makes benches with a ledger each, for tests that draw many examples."""

    @contextmanager
    def make() -> Iterator[Bench]:
        path = tmp_path / f"{uuid4().hex}.db"
        shutil.copy(sqlite_template, path)
        engine = connect(f"sqlite:///{path}")
        yield Bench(engine)
        engine.dispose()

    return make
