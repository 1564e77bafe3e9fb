"""A real stack under faults: Redis, Celery workers, reconcilers, a database; only the engine is scripted."""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from deterministic_engine import expected
from invariants import Tally, check_books, check_result, tally
from redis_server import redis_command
from sqlalchemy import Engine, func, select

from ledger import analyses, models, requests
from ledger.artefacts import ArtefactStore
from ledger.clock import now_us
from ledger.database import connect, migrate, read, write
from ledger.errors import DATABASE_AWAY
from ledger.ids import new_id
from ledger.tables import attempts, shards, workers

HERE = Path(__file__).parent
PATIENCE = 120.0
BOTH = ["sqlite", "postgresql"]
LEASE_SECONDS, TICK_SECONDS = 2.0, 0.2


class Stack:
    """Processes on one home folder, and questions to its ledger."""

    def __init__(self, home: Path, url: str | None = None) -> None:
        self.home = home
        self.url = url or f"sqlite:///{home / 'ledger.sqlite3'}"
        self.patience = PATIENCE
        self.submitted: list[str] = []
        self.faults = 0
        self.destroyed: set[str] = set()
        self.recoveries: list[float] = []
        self._due: list[tuple[float, Callable[[], Any]]] = []
        self.redis_port = _free_port()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        host = [sys.executable, "-m", "workers.host.main", "--execute", "deterministic_engine:execute"]
        self.environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[1])]),
            "TILTSCOPE_HOME": str(home),
            "TILTSCOPE_DATABASE_URL": self.url,
            "TILTSCOPE_REDIS_URL": f"redis://127.0.0.1:{self.redis_port}/0",
            "TILTSCOPE_HOST_COMMAND": json.dumps(host),
            "TILTSCOPE_LEASE_SECONDS": str(LEASE_SECONDS),
            "TILTSCOPE_RENEW_SECONDS": "0.3",
            "TILTSCOPE_POLL_SECONDS": "0.3",
            "TILTSCOPE_TICK_SECONDS": str(TICK_SECONDS),
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
        self.start("redis", redis_command(self.redis_port, self.home))
        self.until(self.redis_answers, "redis answers")

    def redis_answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.redis_port)) == 0

    def start_worker(self, name: str = "worker", **settings: str) -> subprocess.Popen[bytes]:
        command = ["-m", "celery", "-A", "workers.celery_app", "worker", "-P", "threads", "-c", "1"]
        return self.start(name, [sys.executable, *command, "-n", f"{name}@%h", "-l", "INFO"], **settings)

    def start_hooked(
        self, name: str, hook: str, *, nth: int, action: str = "kill", seconds: float = 0.0
    ) -> subprocess.Popen[bytes]:
        """A worker that comes to grief at a step; see `hooked_worker`."""
        command = ["-m", "celery", "-A", "hooked_worker", "worker", "-P", "threads", "-c", "1"]
        fault = {"FAULT_HOOK": hook, "FAULT_NTH": str(nth), "FAULT_ACTION": action}
        fault["FAULT_SECONDS"] = str(seconds)
        return self.start(name, [sys.executable, *command, "-n", f"{name}@%h", "-l", "INFO"], **fault)

    def start_reconciler(self, name: str = "reconciler", **settings: str) -> subprocess.Popen[bytes]:
        return self.start(name, [sys.executable, "-m", "workers.reconciler.main"], **settings)

    def start_gateway(self, port: int, **settings: str) -> subprocess.Popen[bytes]:
        address = {"TILTSCOPE_PORT": str(port), "TILTSCOPE_HOST": "127.0.0.1"}
        return self.start("gateway", [sys.executable, "-m", "service.main"], **address, **settings)

    def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def end(self, name: str) -> None:
        """Let a process finish what it is at, and wait for it."""
        process = self.processes.pop(name)
        process.terminate()
        assert process.wait(self.patience) == 0

    # --- faults

    def injected(self, count: int = 1) -> None:
        """Count what was done to the stack."""
        self.faults += count

    def pause(self, name: str, seconds: float) -> None:
        """Stop a process for a while."""
        self.processes[name].send_signal(signal.SIGSTOP)
        self.injected()
        time.sleep(seconds)
        self.processes[name].send_signal(signal.SIGCONT)

    def kill_pid(self, pid: int) -> None:
        """SIGKILL; a process that is gone already stays gone."""
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def later(self, seconds: float, act: Callable[[], Any]) -> None:
        """Something for `resume_due` to do."""
        self._due.append((time.monotonic() + seconds, act))

    def resume_due(self) -> None:
        """Do what is due."""
        now = time.monotonic()
        due = [act for at, act in self._due if at <= now]
        self._due = [(at, act) for at, act in self._due if at > now]
        for act in due:
            act()

    def resume_all(self) -> None:
        """Do everything that was put off, now."""
        for _, act in self._due:
            act()
        self._due = []

    def recovered_in(self, microseconds: int) -> None:
        """Note how long it took until work went on."""
        self.recoveries.append(microseconds / 1e6)

    # --- the ledger

    def database_time(self) -> int:
        with read(self.engine) as conn:
            return now_us(conn)

    def first_claim_after(self, microseconds: int) -> int:
        """When the next shard was claimed, by the database's clock."""
        query = select(func.min(attempts.c.started_at)).where(attempts.c.started_at >= microseconds)
        with read(self.engine) as conn:
            found: int = conn.execute(query).scalar_one()
        return found

    def retired(self) -> list[str]:
        with read(self.engine) as conn:
            query = select(workers.c.retired_because).where(workers.c.retired_because.is_not(None))
            return list(conn.execute(query).scalars())

    def registered(self) -> bool:
        with read(self.engine) as conn:
            row = models.get(conn, "default", "tiny")
        return row is not None and row.state == "ready"

    def submit(self, *, tenant_id: str = "default", **script: Any) -> str:
        self.until(self.registered, "the model is registered")
        shape = {"prompts": 4, "prompts_per_shard": 2, "samples": 5, "seconds": 0.02, **script}
        spec = {"reference": {"source": "model", "model": "tiny"}, "candidate": None, "seed": 7}
        prompts = [{"id": str(index), "prompt": f"prompt {index}"} for index in range(shape["prompts"])]
        spec |= {"script": shape, "prompts": {"inline": prompts}, "policy": {}}
        analysis_id = new_id("anl")
        with write(self.engine) as conn:
            analyses.create(
                conn,
                tenant_id=tenant_id,
                analysis_id=analysis_id,
                kind="support",
                name=None,
                labels={},
                spec=spec,
                spec_sha256="0" * 64,
                deadline_seconds=None,
                retention_seconds=None,
            )
        self.submitted.append(analysis_id)
        self.injected(len(script.get("faults", {})))
        return analysis_id

    def cancel(self, analysis_id: str) -> None:
        with write(self.engine) as conn:
            analyses.request_cancel(conn, self.analysis(analysis_id).tenant_id, analysis_id)

    def analysis(self, analysis_id: str) -> Any:
        query = requests.ASKED.where(analyses.analyses.c.id == analysis_id)
        with read(self.engine) as conn:
            return conn.execute(query).one()

    def count(self, **where: Any) -> int:
        """How many shards there are of a kind."""
        query = select(func.count()).select_from(shards)
        for name, value in where.items():
            query = query.where(shards.c[name] == value)
        with read(self.engine) as conn:
            return int(conn.execute(query).scalar_one())

    def claims_after(self, microseconds: int) -> list[Any]:
        """Every claim since, in order: its tenant, when it began and ended."""
        query = select(attempts.c.tenant_id, attempts.c.started_at, attempts.c.ended_at)
        later = query.where(attempts.c.started_at >= microseconds).order_by(attempts.c.started_at)
        with read(self.engine) as conn:
            return list(conn.execute(later))

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

    def host_pids(self, worker: str = "worker", work: str = "sample") -> list[int]:
        """Of a worker's engine hosts those that do a work."""
        try:
            hosts = psutil.Process(self.processes[worker].pid).children()
            return [host.pid for host in hosts if work in works_of(host)]
        except psutil.NoSuchProcess:
            return []

    def until(self, holds: Callable[[], Any], what: str) -> Any:
        give_up_at = time.monotonic() + self.patience
        while time.monotonic() < give_up_at:
            if found := self._asked(holds):
                return found
            time.sleep(0.05)
        raise AssertionError(f"never happened: {what}\n{self.logs()}")

    @staticmethod
    def _asked(holds: Callable[[], Any]) -> Any:
        """The answer; none while the database is away, which some tests see to."""
        try:
            return holds()
        except DATABASE_AWAY:
            return None

    def ends(self, analysis_id: str) -> Any:
        self.until(lambda: self.analysis(analysis_id).finished_at, f"{analysis_id} ends")
        return self.analysis(analysis_id)

    def result(self, analysis_id: str) -> bytes:
        """The committed result document, its hash checked."""
        stored = self.analysis(analysis_id).artifacts["result.json"]
        content: bytes = self.store.open_verified(stored["key"], stored["sha256"])
        return content

    def assert_exact(self, analysis_id: str, without: frozenset[int] = frozenset()) -> None:
        """Every planned row once, byte for byte as without faults, and every epoch accounted for."""
        spec = self.analysis(analysis_id).spec
        check_result(self.engine, self.store, analysis_id, expected(spec, without))
        check_books(self.engine)

    def tallied(self) -> Tally:
        """Over all analyses that were submitted and succeeded."""
        counts = [
            tally(self.engine, self.store, analysis_id)
            for analysis_id in self.submitted
            if self.analysis(analysis_id).status == "succeeded"
        ]
        return Tally(
            planned=sum(count.planned for count in counts),
            listed=sum(count.listed for count in counts),
            lost=sum(count.lost for count in counts),
            doubled=sum(count.doubled for count in counts),
        )

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


def works_of(host: psutil.Process) -> list[str]:
    """What an engine host was started for."""
    return host.environ()["TILTSCOPE_WORKS"].split(",")


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
