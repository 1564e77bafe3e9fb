"""PostgreSQL's planner learns of a large round when it opens."""

import pytest
from sqlalchemy import text

from ledger.commits import LARGE_ROUND, commit_and_claim
from ledger.database import count_anew, read, write


@pytest.fixture
def counted(bench):
    """Rows of ``shards`` when its planner last looked; -1 if it never did."""
    if bench.engine.dialect.name == "sqlite":
        pytest.skip("SQLite keeps no such counts")

    def look():
        with read(bench.engine) as conn:
            return conn.execute(text("SELECT reltuples FROM pg_class WHERE relname = 'shards'")).scalar_one()

    assert look() == -1
    return look


def test_a_large_round_is_counted_and_a_small_one_is_not(bench, counted):
    bench.started(*[bench.sample(idx) for idx in range(LARGE_ROUND - 1)])
    assert counted() == -1
    bench.started(*[bench.sample(idx) for idx in range(LARGE_ROUND)])
    assert counted() == 2 * LARGE_ROUND + 1


def test_also_by_whoever_claims_on(bench, counted):
    bench.submit()
    planned = [bench.sample(idx) for idx in range(LARGE_ROUND)]
    assert commit_and_claim(bench.engine, bench.claim(), None, artefact=None, usage={}, next_shards=planned)[
        0
    ]
    assert counted() == LARGE_ROUND + 1


def test_a_table_that_is_being_looked_at_is_left_alone(bench, counted):
    with write(bench.engine) as conn:
        conn.execute(text("LOCK TABLE shards IN SHARE UPDATE EXCLUSIVE MODE"))
        count_anew(bench.engine, "shards")
    assert counted() == -1
