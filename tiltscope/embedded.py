"""The embedded service: every part as a child process, watched and restarted."""

import fcntl
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO

import httpx

from tiltscope.broker import Broker, choose_broker
from tiltscope.errors import SetupError, StoppedError
from tiltscope.process import ChildProcess

SERVER = "tiltscope-server"
"""The distribution that has the processes which this launcher starts."""

SERVER_MODULES = ("fastapi", "uvicorn", "celery", "torch")
INSTALL_SERVER = f"pip install '{SERVER}[embedded]', or `make setup` in a checkout"

WATCH_SECONDS = 0.2
"""Between two looks at the children: a dead one is back well within two seconds."""

START_SECONDS = 120.0
"""Until the gateway must be ready: importing on a slow disk and hashing the first models take a while."""

WORKER_NICENESS = 10
"""Of workers and their engines: beside them on one machine, the gateway still answers at once."""

STOP_SECONDS = 10.0
"""For a child to end by itself before it is killed."""


def default_home() -> Path:
    """TILTSCOPE_HOME, else ~/.tiltscope."""
    return Path(os.environ.get("TILTSCOPE_HOME") or Path.home() / ".tiltscope").expanduser().resolve()


@dataclass(frozen=True, slots=True)
class Layout:
    """What to start.

    Attributes:
        home: Database, artefacts, logs.
        models: Folder whose sub-folders are models.
        host: Loopback address to listen on.
        port: TCP port of the gateway.
        workers: Worker processes, each with an engine of its own.
    """

    home: Path
    models: Path
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1

    @property
    def url(self) -> str:
        """Where the gateway answers."""
        return f"http://{self.host}:{self.port}"


class EmbeddedService:
    """Gateway, reconciler, workers and broker on this machine, as a context manager.

    Raises:
        SetupError: a port is taken, a dependency is missing, or another service uses the same home.
    """

    def __init__(self, layout: Layout, say: Callable[[str], None] = lambda _: None) -> None:
        self.layout = layout
        self._say = say
        self._lock: IO[str] | None = None
        self._broker: Broker | None = None
        self._told_to_stop = threading.Event()
        self.children: list[ChildProcess] = []

    def __enter__(self) -> "EmbeddedService":
        self.start()
        return self

    def start(self) -> None:
        """Start every part and wait until the gateway is ready."""
        _require_server_packages()
        self.layout.home.mkdir(parents=True, exist_ok=True)
        (self.layout.home / "logs").mkdir(exist_ok=True)
        self._lock = _lock_home(self.layout.home)
        try:
            self._start_parts()
        except BaseException:
            self.stop()
            raise

    def _start_parts(self) -> None:
        _require_free_port(self.layout)
        if not self.layout.models.is_dir():
            raise SetupError(f"{self.layout.models} is no folder: create it, or name another with --models")
        self._broker = choose_broker(self.layout.home)
        self._migrate()
        self.children = self._children(self._broker)
        for child in self.children:
            self._leave_if_told()
            child.start()
        self._await_ready()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def broker_origin(self) -> str:
        """What the broker is, in words."""
        return self._broker.origin if self._broker is not None else "none"

    def child(self, name: str) -> ChildProcess:
        """A part by its name."""
        return next(child for child in self.children if child.name == name)

    def watch_once(self) -> None:
        """Restart what died.

        Raises:
            SetupError: a part dies as soon as it starts, again and again.
        """
        for child in self.children:
            if child.revive():
                self._say(f"{child.name} ended and was restarted; see {child.log}")
            if child.is_hopeless:
                raise SetupError(
                    f"{child.name} cannot run here. The end of {child.log}:\n{child.last_words()}"
                )

    def stop_on_signals(self) -> None:
        """Let SIGTERM, SIGINT and SIGHUP end `start` and `watch`; only in the main thread.

        The handlers set a flag and raise nothing: an exception that arrives while a child is being forked is
        swallowed there, and the signal with it.
        """

        def leave(signum: int, frame: FrameType | None) -> None:
            self._told_to_stop.set()

        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(signum, leave)

    def watch(self) -> None:
        """Restart what dies until a signal says stop."""
        while not self._told_to_stop.wait(WATCH_SECONDS):
            self.watch_once()

    def _leave_if_told(self) -> None:
        if self._told_to_stop.is_set():
            raise StoppedError("stopped while it was starting; nothing is left running")

    def stop(self) -> None:
        """End every part; what was committed stays, what was running starts again next time."""
        first_to_last = list(reversed(self.children))
        for child in first_to_last:
            if child.name != "broker":
                child.terminate()
        for child in first_to_last:
            if child.name == "broker":
                child.terminate()
            child.wait(STOP_SECONDS)
        if self._lock is not None:
            self._lock.close()

    def _environment(self, broker: Broker) -> dict[str, str]:
        layout = self.layout
        return {
            "TILTSCOPE_TICK_SECONDS": "0.25",
            "TILTSCOPE_POLL_SECONDS": "1",
            "OMP_NUM_THREADS": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "HF_HUB_OFFLINE": "1",
            **os.environ,
            "TILTSCOPE_HOME": str(layout.home),
            "TILTSCOPE_DATABASE_URL": self._database_url,
            "TILTSCOPE_REDIS_URL": broker.url,
            "TILTSCOPE_MODELS": str(layout.models),
            "TILTSCOPE_HOST": layout.host,
            "TILTSCOPE_PORT": str(layout.port),
        }

    @property
    def _database_url(self) -> str:
        return os.environ.get("TILTSCOPE_DATABASE_URL") or f"sqlite:///{self.layout.home / 'ledger.sqlite3'}"

    def _migrate(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "ledger.migrate", self._database_url],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise SetupError(f"the database could not be prepared:\n{done.stderr.strip()}")

    def _children(self, broker: Broker) -> list[ChildProcess]:
        env, logs = self._environment(broker), self.layout.home / "logs"
        python = sys.executable
        celery = [python, "-m", "celery", "-A", "workers.celery_app", "worker", "-P", "threads", "-c", "1"]
        parts = []
        if broker.command is not None:
            parts.append(ChildProcess("broker", broker.command, env, logs / "broker.log"))
        parts.append(ChildProcess("gateway", [python, "-m", "service.main"], env, logs / "gateway.log"))
        parts.append(
            ChildProcess(
                "reconciler", [python, "-m", "workers.reconciler.main"], env, logs / "reconciler.log"
            )
        )
        for number in range(1, self.layout.workers + 1):
            name = f"worker-{number}"
            command = [*celery, "-n", f"{name}@%h", "--loglevel", "WARNING"]
            release = self._release_leases(env)
            log = logs / f"{name}.log"
            parts.append(ChildProcess(name, command, env, log, release, niceness=WORKER_NICENESS))
        return parts

    def _release_leases(self, env: dict[str, str]) -> Callable[[str], None]:
        def release(boot_id: str) -> None:
            command = [sys.executable, "-m", "workers.reconciler.release", boot_id]
            subprocess.run(command, env=env, capture_output=True, check=False)

        return release

    def _await_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            self._leave_if_told()
            self.watch_once()
            try:
                if httpx.get(f"{self.layout.url}/readyz", timeout=2.0).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(WATCH_SECONDS)
        logs = self.layout.home / "logs"
        raise SetupError(f"the service was not ready after {START_SECONDS:.0f} s; its logs are in {logs}")


def missing_server_parts() -> list[str]:
    """What of the server cannot be imported here; nothing of it is imported to find out."""
    missing = [name for name in SERVER_MODULES if not importlib.util.find_spec(name)]
    try:
        distribution(SERVER)
    except PackageNotFoundError:
        missing.insert(0, SERVER)
    return missing


def _require_server_packages() -> None:
    if missing := missing_server_parts():
        raise SetupError(
            f"missing here: {', '.join(missing)}. `tiltscope up` needs the server: {INSTALL_SERVER}"
        )


def _lock_home(home: Path) -> IO[str]:
    lock = (home / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise SetupError(
            f"another tiltscope already uses {home}. Stop it, or set TILTSCOPE_HOME to another folder"
        ) from error
    return lock


def _require_free_port(layout: Layout) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((layout.host, layout.port))
        except OSError as error:
            raise SetupError(
                f"port {layout.port} of {layout.host} cannot be used ({error.strerror}). "
                f"Stop what listens there, or pass another: tiltscope up --port {layout.port + 1}"
            ) from error
