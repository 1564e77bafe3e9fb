"""The real application on a real SQLite ledger, without a socket."""

import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio.from_thread
import httpx
import pytest
from fastapi import FastAPI
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry
from redis_server import redis_command
from sqlalchemy import Engine

from ledger import models
from ledger.artefacts import ArtefactStore
from ledger.claims import claim_next
from ledger.commits import commit, commit_finalise, fail_analysis
from ledger.database import connect, migrate, write
from ledger.shards import Claim
from ledger.workers import WorkerIdentity
from service.app import create_app
from service.settings import Settings
from tiltscope.broker import free_port

# Nothing listens on this port: wake-ups fail, which must never show.
NO_REDIS = "redis://127.0.0.1:1/0"


class Gateway:
    """The started application, spoken to from ordinary tests."""

    def __init__(self, app: FastAPI, portal: anyio.from_thread.BlockingPortal, client: httpx.AsyncClient):
        self.app = app
        self._portal = portal
        self._client = client

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._portal.call(lambda: self._client.request(method, path, **options))

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, redis_url=NO_REDIS, wait_poll_seconds=0.01, event_poll_seconds=0.01)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty ledger, to be copied."""
    path = tmp_path_factory.mktemp("ledger") / "ledger.sqlite3"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def engine(settings: Settings, migrated: Path) -> Iterator[Engine]:
    shutil.copy(migrated, settings.home / "ledger.sqlite3")
    engine = connect(settings.ledger_url)
    with write(engine) as conn:
        for model_id, digest in (("tiny-base", "a"), ("tiny-grpo", "b")):
            models.upsert(conn, "default", record(model_id, weights_digest=digest * 64))
        models.record_scan(conn, "default", "/models")
    yield engine
    engine.dispose()


@pytest.fixture
def gateway(settings: Settings, engine: Engine) -> Iterator[Gateway]:
    app = create_app(settings)
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(_started(app)) as client,
    ):
        yield Gateway(app, portal, client)


@asynccontextmanager
async def _started(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            yield client


@pytest.fixture
def request_body() -> dict[str, Any]:
    return {
        "kind": "capability",
        "name": "grpo-step-400 against base",
        "labels": {"run": "grpo-7"},
        "reference": {"source": "model", "model": "tiny-base"},
        "candidate": {"source": "model", "model": "tiny-grpo"},
        "prompts": {"inline": [{"id": "p1", "prompt": "12+30=", "answer": "42", "family": "add2"}]},
        "signal": {"kind": "exact"},
    }


@pytest.fixture
def model_record() -> Any:
    return record


def record(model_id: str, **columns: Any) -> dict[str, Any]:
    return {
        "id": model_id,
        "kind": "model",
        "path": f"/models/{model_id}",
        "weights_digest": "a" * 64,
        "tokenizer_digest": "c" * 64,
        "architecture": "LlamaForCausalLM",
        "parameters": 640_000,
        "bytes": 2_600_000,
        "context_length": 64,
        "state": "ready",
        **columns,
    }


class Worker:
    """Runs an analysis to its end with the ledger's own verbs, without computing anything."""

    def __init__(self, engine: Engine, store: ArtefactStore):
        self._engine = engine
        self.store = store
        self._identity = WorkerIdentity("worker-1", "boot-1", "here")

    def claim(self) -> Claim:
        claim = claim_next(self._engine, self._identity, works=None, resident=set(), lease_seconds=60)
        assert claim is not None
        return claim

    def sampling(self, rows: int) -> Claim:
        """Plan one sample shard and hold it."""
        shard = {"idx": 0, "work": "sample", "stream": "reference", "items": [[0, 0, rows]]}
        self._commit(self.claim(), next_shards=[shard], phase="sampling")
        return self.claim()

    def finish(self, files: dict[str, tuple[bytes, str]], *, verdict: str | None = "elicitation") -> None:
        """Plan straight to finalising and store the files."""
        self._commit(self.claim(), next_shards=[{"idx": 0, "work": "finalise"}], phase="reporting")
        claim = self.claim()
        artifacts = {}
        for name, (data, media_type) in files.items():
            again = f"r{revision}-" if (revision := claim.analysis["revision"]) > 1 else ""
            stored = self.store.put(f"default/{claim.analysis['id']}/{again}{name}", data)
            artifacts[name] = {
                "key": stored.key,
                "sha256": stored.sha256,
                "bytes": stored.bytes,
                "media_type": media_type,
            }
        assert commit_finalise(self._engine, claim, artifacts=artifacts, usage=dict(USAGE), verdict=verdict)

    def fail(self, problem: dict[str, Any]) -> None:
        assert fail_analysis(self._engine, self.claim(), problem=problem)

    def _commit(self, claim: Claim, *, next_shards: list[dict[str, Any]], phase: str) -> None:
        assert commit(
            self._engine, claim, artefact=None, usage=dict(USAGE), next_shards=next_shards, phase=phase
        )


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """A Redis of the test's own."""
    port = free_port()
    server = subprocess.Popen(redis_command(port, tmp_path), stdout=subprocess.DEVNULL)
    try:
        with Redis(port=port, retry=Retry(ConstantBackoff(0.05), 1200)) as redis:
            assert redis.ping()
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait()


USAGE = {"samples": 0, "sampled_tokens": 0, "scored_tokens": 0, "cached_samples": 0, "engine_seconds": 0.5}


@pytest.fixture
def worker(engine: Engine, settings: Settings) -> Worker:
    return Worker(engine, ArtefactStore(settings.artefact_root))


@pytest.fixture
def submit(gateway: Gateway, request_body: dict[str, Any]) -> Any:
    """Submit the request, changed at top level, and give the analysis's path."""

    def submit(**changes: Any) -> str:
        answer = gateway.post("/v1/analyses", json={**request_body, **changes})
        assert answer.status_code == 202, answer.text
        return str(answer.headers["location"])

    return submit
