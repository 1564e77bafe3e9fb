"""The gateway alone, and bare routes beside it: each a process with a ledger of its own."""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from sqlalchemy import Engine, func, select

from benchmarks.performance.bare_gateway import TENANT
from ledger import models
from ledger.database import connect, migrate, read, write
from ledger.tables import metadata
from tiltscope.broker import choose_broker, free_port
from tiltscope.process import ChildProcess

START_SECONDS = 60.0
STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Server:
    """A process that answers, and what it wrote.

    Attributes:
        url: Where it answers.
        ledger: Its database.
    """

    url: str
    ledger: Engine

    def rows(self) -> dict[str, int]:
        """How many rows each table has."""
        with read(self.ledger) as conn:
            counted = (
                (table.name, select(func.count()).select_from(table)) for table in metadata.sorted_tables
            )
            return {name: int(conn.execute(query).scalar_one()) for name, query in counted}


@contextmanager
def gateway_alone(home: Path) -> Iterator[Server]:
    """Our gateway and its broker, without reconciler and workers: what is submitted waits."""
    home.mkdir()
    broker, port = choose_broker(home), free_port()
    env = {
        "TILTSCOPE_HOME": str(home),
        "TILTSCOPE_REDIS_URL": broker.url,
        "TILTSCOPE_PORT": str(port),
    }
    with ExitStack() as ending:
        if broker.command is not None:
            start_process(ending, "broker", broker.command, env, home)
        command = [sys.executable, "-m", "service.main"]
        yield _serving(ending, command, env, home, port, "/readyz")


@contextmanager
def bare_routes(home: Path) -> Iterator[Server]:
    """The comparator."""
    home.mkdir()
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.performance.bare_gateway", _ledger_url(home), str(port)]
    with ExitStack() as ending:
        yield _serving(ending, command, {}, home, port, "/openapi.json")


def _ledger_url(home: Path) -> str:
    return f"sqlite:///{home / 'ledger.sqlite3'}"


def _serving(
    ending: ExitStack, command: Sequence[str], env: dict[str, str], home: Path, port: int, ready: str
) -> Server:
    migrate(_ledger_url(home))
    ledger = connect(_ledger_url(home))
    ending.callback(ledger.dispose)
    with write(ledger) as conn:
        for name in ("tiny-base", "tiny-grpo"):
            digests = {"weights_digest": name, "tokenizer_digest": "tiny"}
            found = {"id": name, "kind": "model", "path": f"/{name}", "state": "ready", "context_length": 64}
            models.upsert(conn, TENANT, {**found, **digests})
        models.record_scan(conn, TENANT, "/")
    child = start_process(ending, "server", command, env, home)
    url = f"http://127.0.0.1:{port}"
    _await(url + ready, child)
    return Server(url, ledger)


def start_process(
    ending: ExitStack, name: str, command: Sequence[str], env: dict[str, str], home: Path
) -> ChildProcess:
    """A process without our settings but with these, that ends with the stack."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("TILTSCOPE_")}
    child = ChildProcess(name, command, {**inherited, **env}, home / f"{name}.log")
    child.start()
    ending.callback(child.wait, STOP_SECONDS)
    ending.callback(child.terminate)
    return child


def _await(url: str, child: ChildProcess) -> None:
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up and child.pid is not None:
        try:
            if httpx.get(url, timeout=2.0).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"{url} does not answer:\n{child.last_words()}")
