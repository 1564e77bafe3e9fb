"""Connections, transactions and the schema."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from sqlite3 import OperationalError
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

BUSY_TIMEOUT_MS: Final = 10_000
"""For a lock that another holds, on either database: then the caller sees `ledger.errors.DATABASE_AWAY`."""

_CONNECT_SECONDS: Final = 5
_STATEMENT_MS: Final = 60_000  # above the slowest honest statement, the deletion of a large analysis
# A paused holder of a row lock must not stop everybody else: its transaction ends well within a lease.
_IDLE_IN_TRANSACTION_MS: Final = 5_000
_UNANSWERED_MS: Final = 10_000  # a network that swallows packets: without this a renewal waits for ever

MIGRATIONS: Final = Path(__file__).parent / "migrations"
# An arbitrary constant: every process that migrates this schema must ask for the same lock.
_MIGRATION_LOCK: Final = 7_216_518_001


def connect(url: str) -> Engine:
    """An engine for ``sqlite:///path`` or ``postgresql://…``. No call on it waits for ever.

    SQLite is opened in WAL mode with ``synchronous=FULL`` (NORMAL may lose an accepted analysis on
    power loss), foreign keys on and a busy timeout of 10 s; its folder is made. It must not lie on NFS.
    """
    address = make_url(url)
    if address.get_backend_name() == "sqlite":
        return _connect_sqlite(address)
    if address.drivername == "postgresql":
        address = address.set(drivername="postgresql+psycopg")
    limits = {
        "lock_timeout": BUSY_TIMEOUT_MS,
        "statement_timeout": _STATEMENT_MS,
        "idle_in_transaction_session_timeout": _IDLE_IN_TRANSACTION_MS,
    }
    network = {
        "connect_timeout": _CONNECT_SECONDS,
        "tcp_user_timeout": _UNANSWERED_MS,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "options": " ".join(f"-c {name}={value}" for name, value in limits.items()),
    }
    # What the URL says goes first.
    return create_engine(
        address, pool_pre_ping=True, connect_args={k: v for k, v in network.items() if k not in address.query}
    )


@contextmanager
def write(engine: Engine) -> Iterator[Connection]:
    """One writing transaction: committed on leaving, rolled back on an exception.

    On SQLite it is BEGIN IMMEDIATE: a deferred transaction that reads and then writes fails at once
    with SQLITE_BUSY_SNAPSHOT, whatever the busy timeout.
    """
    with engine.connect().execution_options(ledger_write=True) as conn, conn.begin():
        yield conn


@contextmanager
def read(engine: Engine) -> Iterator[Connection]:
    """One reading transaction: on SQLite a snapshot, on PostgreSQL READ COMMITTED."""
    with engine.connect() as conn, conn.begin():
        yield conn


def count_anew(engine: Engine, table: str) -> None:
    """Have PostgreSQL's planner look at a table whose rows are not what they were; SQLite's asks nothing.

    The server looks by itself after a minute, or once a tenth of the rows have changed; until then it takes
    what is now common for rare. A table that is being looked at is left alone, and no failure is reported.
    """
    if engine.dialect.name != "postgresql":
        return
    with suppress(DBAPIError), write(engine) as conn:
        conn.execute(text("SET LOCAL lock_timeout = 200"))
        conn.execute(text(f"ANALYZE {table}"))


def migrate(url: str, revision: str = "head") -> None:
    """Bring the schema up to date. Several processes may do so at once: one does, the others wait.

    The whole upgrade is one transaction, under SQLite's write lock or a PostgreSQL advisory lock, and
    the version is read inside it.

    Args:
        url: The database.
        revision: Where to stop; anything but ``head`` is for tests of the migrations.
    """
    engine = connect(url)
    try:
        with write(engine) as conn:
            if conn.dialect.name == "postgresql":
                for limit in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"):
                    conn.execute(text(f"SET LOCAL {limit} = 0"))
                conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            config = _alembic_config()
            config.attributes["connection"] = conn
            command.upgrade(config, revision)
    finally:
        engine.dispose()


def schema_is_current(engine: Engine) -> bool:
    """Whether the database is at the newest migration this code ships."""
    with read(engine) as conn:
        return MigrationContext.configure(conn).get_current_heads() == _newest_heads()


@cache
def _newest_heads() -> tuple[str, ...]:
    return tuple(ScriptDirectory.from_config(_alembic_config()).get_heads())


def _alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _connect_sqlite(address: URL) -> Engine:
    if address.database and address.database != ":memory:":
        Path(address.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(address, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000})
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: SqliteConnection, _record: ConnectionPoolEntry) -> None:
    # The driver's own implicit BEGIN is deferred; with None it sends none and _begin_sqlite decides.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    _switch_to_wal(connection)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _switch_to_wal(connection: SqliteConnection) -> None:
    # The switch ignores the busy timeout and fails at once while another connection makes it.
    give_up_at = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except OperationalError:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.01)


def _begin_sqlite(conn: Connection) -> None:
    writing = conn.get_execution_options().get("ledger_write", False)
    conn.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
