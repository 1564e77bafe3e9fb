import sqlite3

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError, ProgrammingError

from ledger.database import connect
from ledger.errors import database_reason


def refused(url, statement):
    engine = connect(url)
    with engine.connect() as conn, pytest.raises((OperationalError, ProgrammingError)) as caught:
        conn.execute(text(statement))
    engine.dispose()
    return caught.value


def test_sqlite_names_its_reason(tmp_path):
    error = refused(f"sqlite:///{tmp_path / 'l.sqlite3'}", "SELECT 'a secret' FROM nowhere")
    assert database_reason(error) == "SQLITE_ERROR"


def test_postgresql_gives_its_state(postgres):
    error = refused(postgres.new_database(), "SELECT 'a secret' FROM nowhere")
    assert database_reason(error) == "42P01"


def test_anything_else_is_its_type():
    assert (
        database_reason(OperationalError("", {}, sqlite3.OperationalError("a secret"))) == "OperationalError"
    )
    assert database_reason(TimeoutError("a secret")) == "TimeoutError"
