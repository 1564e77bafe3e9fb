"""A throwaway PostgreSQL server on this machine alone, run by an unprivileged user."""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text

from tiltscope.broker import free_port


class PostgresServer:
    """A running server.

    Args:
        folder: Where its data and socket are.
        control: The ``pg_ctl`` command, up to what it shall do.
    """

    def __init__(self, folder: Path, control: list[str]) -> None:
        self.folder = folder
        self.port = free_port()
        self._control = control

    @property
    def pid(self) -> int:
        """Process id of the postmaster."""
        return int((self.folder / "data" / "postmaster.pid").read_text().split()[0])

    def url(self, database: str) -> str:
        """SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://postgres@/{database}?host={self.folder}&port={self.port}"

    def new_database(self) -> str:
        """URL of a fresh, empty database."""
        name = f"d{uuid4().hex}"
        server = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with server.connect() as conn:
            conn.execute(text(f"CREATE DATABASE {name}"))
        server.dispose()
        return self.url(name)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-c listen_addresses=127.0.0.1 -c port={self.port} -c fsync=off"
        options += f" -c unix_socket_directories={self.folder}"
        self._run("-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop it: ``immediate`` is a crash."""
        self._run("-m", mode, "stop")

    def _run(self, *arguments: str) -> None:
        subprocess.run([*self._control, *arguments], check=True, stdout=subprocess.DEVNULL, cwd="/")


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Make and start a server, and remove it afterwards; skips the test where none is installed."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server on this machine: apt-get install postgresql")
    if importlib.util.find_spec("psycopg") is None:
        pytest.skip("psycopg is not installed: pip install 'psycopg[binary]'")
    # Not under pytest's own folder: that is closed to the user the server must run as.
    folder = Path(tempfile.mkdtemp(prefix="tiltscope-pg-"))
    try:
        as_postgres = _unprivileged(folder)
        data = str(folder / "data")
        initdb = [str(binaries / "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "--no-sync"]
        subprocess.run([*as_postgres, *initdb], check=True, stdout=subprocess.DEVNULL, cwd="/")
        server = PostgresServer(folder, [*as_postgres, str(binaries / "pg_ctl"), "-D", data, "-w"])
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


def _binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


def _unprivileged(folder: Path) -> list[str]:
    """How to run a program as somebody who may own `folder`: the server refuses to run as root."""
    if os.geteuid() != 0:
        return []
    try:
        account = pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("PostgreSQL refuses to run as root and there is no user postgres")
    os.chown(folder, account.pw_uid, account.pw_gid)
    return ["runuser", "-u", "postgres", "--"]
