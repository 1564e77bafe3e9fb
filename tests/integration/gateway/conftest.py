"""A gateway of the test's own: Redis, ledger and process."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from gateway_process import PATIENCE, Process
from redis import Redis
from redis_server import redis_command
from sqlalchemy import Engine

from ledger import models
from ledger.database import connect, migrate, write
from tiltscope.broker import free_port


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[Process]:
    port = free_port()
    server = Process(redis_command(port, tmp_path), dict(os.environ), tmp_path / "redis.log", port)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def redis(redis_server: Process) -> Iterator[Redis]:
    client = Redis(port=redis_server.port)
    yield client
    client.close()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    url = f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    migrate(url)
    engine = connect(url)
    with write(engine) as conn:
        models.upsert(conn, "default", {"id": "tiny-base", "kind": "model", "path": "/m", "state": "ready"})
        models.record_scan(conn, "default", "/models")
    yield engine
    engine.dispose()


@pytest.fixture
def start_gateway(tmp_path: Path, engine: Engine, redis_server: Process) -> Iterator[Callable[..., Process]]:
    """Starts gateways on the one ledger and Redis, each on a port of its own, under further settings."""
    started: list[Process] = []

    def start(**settings: str) -> Process:
        port = free_port()
        env = {
            **os.environ,
            "TILTSCOPE_HOME": str(tmp_path),
            "TILTSCOPE_REDIS_URL": f"redis://127.0.0.1:{redis_server.port}/0",
            "TILTSCOPE_PORT": str(port),
            "TILTSCOPE_EVENT_POLL_SECONDS": "0.02",
            "TILTSCOPE_WAIT_POLL_SECONDS": "0.02",
            "TILTSCOPE_WAKEUP_TIMEOUT_SECONDS": "0.3",
            **settings,
        }
        log = tmp_path / f"gateway-{len(started)}.log"
        started.append(Process([sys.executable, "-m", "service.main"], env, log, port))
        started[-1].start()
        return started[-1]

    yield start
    for process in started:
        process.kill()


@pytest.fixture
def gateway(start_gateway: Callable[..., Process]) -> Process:
    return start_gateway()


@pytest.fixture
def client(gateway: Process) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{gateway.port}", timeout=PATIENCE) as client:
        yield client
