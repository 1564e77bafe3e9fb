"""A stack for each test; after each the books are read, and what was done to it goes into a table."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from fault_record import FaultRecord
from fault_stack import LEASE_SECONDS, TICK_SECONDS, Stack
from invariants import check_books, check_store

from ledger.database import read
from ledger.states import TERMINAL_STATUSES

RECORD = FaultRecord()


@pytest.fixture
def database(request: pytest.FixtureRequest) -> str:
    """Kind of ledger: SQLite unless a test is told otherwise."""
    return str(getattr(request, "param", "sqlite"))


@pytest.fixture
def stack(tmp_path: Path, database: str, request: pytest.FixtureRequest) -> Iterator[Stack]:
    running = Stack(tmp_path, new_url(request, database))
    failed = request.session.testsfailed
    try:
        yield running
        if request.session.testsfailed == failed:
            leave_in_order(running)
            RECORD.add(request.node.originalname, database, running)
    finally:
        running.stop()


@pytest.fixture
def stack_of(
    tmp_path: Path, database: str, request: pytest.FixtureRequest
) -> Iterator[Callable[[str], Stack]]:
    """Makes stacks beside each other."""
    with ExitStack() as ending:

        def make(name: str) -> Stack:
            (tmp_path / name).mkdir()
            made = Stack(tmp_path / name, new_url(request, database))
            ending.callback(made.stop)
            return made

        yield make


def new_url(request: pytest.FixtureRequest, database: str) -> str | None:
    """Of an empty database on the throwaway server; none for SQLite in the stack's own folder."""
    if database != "postgresql":
        return None
    return str(request.getfixturevalue("postgres").new_database())


def leave_in_order(stack: Stack) -> None:
    """What holds after every test: D, E and, once everything has ended, F."""
    check_books(stack.engine)
    if all(stack.analysis(analysis_id).status in TERMINAL_STATUSES for analysis_id in stack.submitted):
        for name in list(stack.processes):
            stack.kill(name)
        check_store(stack.engine, stack.store, stack.destroyed)
        with read(stack.engine) as conn:
            assert conn.exec_driver_sql("SELECT count(*) FROM shards WHERE state = 'RUNNING'").scalar() == 0


def pytest_sessionfinish() -> None:
    if path := os.environ.get("TILTSCOPE_FAULT_TABLE"):
        RECORD.write(Path(path), lease=LEASE_SECONDS, tick=TICK_SECONDS)
