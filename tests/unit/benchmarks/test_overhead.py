"""Where the time of an analysis went, and the bare round trip that its wait is held beside."""

import os
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, insert

from benchmarks.performance import celery_round_trip
from benchmarks.performance.celery_round_trip import celery_alone, round_trips, worker_pid
from benchmarks.performance.spans import NO_SHARD, covered_seconds, pace, shares, wait, wall
from ledger.database import connect, write
from ledger.tables import analyses, attempts, metadata, shards

SECOND = 1_000_000
EMPTY: dict[type, Any] = {str: "", int: 0}
"""By type; all else is a document."""


def row(table: Table, **given: Any) -> dict[str, Any]:
    """A row of which only what is given matters."""
    needed = [column for column in table.c if not column.nullable and column.server_default is None]
    return {**{column.name: EMPTY.get(column.type.python_type, {}) for column in needed}, **given}


def test_shares_of_the_time_by_work(tmp_path: Path) -> None:
    """Ten seconds from acceptance to the end: two of planning, one of sampling, four of the end."""
    ledger = connect(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    metadata.create_all(ledger)
    start = 50 * SECOND
    spent = [("plan", 1, 1.5), ("sample", 3, 1.0), ("plan", 4, 0.5), ("finalise", 6, 4.0)]
    with write(ledger) as conn:
        times = {"created_at": start, "finished_at": start + 10 * SECOND}
        conn.execute(insert(analyses), row(analyses, id="a", **times))
        for number, (work, at, seconds) in enumerate(spent):
            shard = row(shards, id=str(number), analysis_id="a", idx=number, work=work)
            conn.execute(insert(shards), shard)
            began = start + at * SECOND
            attempt = {"started_at": began, "ended_at": began + SECOND, "engine_seconds": seconds}
            conn.execute(insert(attempts), row(attempts, shard_id=str(number), **attempt))
    assert wall(ledger, "a") == pytest.approx(10.0)
    assert wait(ledger, "a") == pytest.approx(1.0)
    expected = {"plan": 0.2, "sample": 0.1, "verify": 0.0, "score": 0.0, "finalise": 0.4, NO_SHARD: 0.3}
    assert shares(ledger, "a") == pytest.approx(expected)
    ledger.dispose()


def test_what_goes_on_beside_the_engine_costs_no_time(tmp_path: Path) -> None:
    """Ten seconds, sampling in the first four: of three seconds of judging two are beside it."""
    ledger = connect(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    metadata.create_all(ledger)
    with write(ledger) as conn:
        conn.execute(insert(analyses), row(analyses, id="a", created_at=0, finished_at=10 * SECOND))
        for number, (work, at, seconds) in enumerate([("verify", 2, 3.0), ("sample", 0, 4.0)]):
            conn.execute(insert(shards), row(shards, id=work, analysis_id="a", idx=number, work=work))
            attempt = {"started_at": at * SECOND, "ended_at": 9 * SECOND, "engine_seconds": seconds}
            conn.execute(insert(attempts), row(attempts, shard_id=work, **attempt))
    found = shares(ledger, "a")
    assert found["sample"] == pytest.approx(0.4)
    assert found["verify"] == pytest.approx(0.1)
    assert found[NO_SHARD] == pytest.approx(0.5)
    ledger.dispose()


def test_the_pace_counts_what_draws_and_scores(tmp_path: Path) -> None:
    """Of 30 drawn and 60 scored tokens in 2 and 1 seconds; a plan takes none of them."""
    ledger = connect(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    metadata.create_all(ledger)
    done = [("sample", 30, 0, 2.0), ("score", 0, 60, 1.0), ("plan", 0, 0, 7.0)]
    with write(ledger) as conn:
        conn.execute(insert(analyses), row(analyses, id="a"))
        for number, (work, drawn, scored, seconds) in enumerate(done):
            usage = {"sampled_tokens": drawn, "scored_tokens": scored}
            conn.execute(
                insert(shards), row(shards, id=work, analysis_id="a", idx=number, work=work, usage=usage)
            )
            conn.execute(insert(attempts), row(attempts, shard_id=work, engine_seconds=seconds))
    assert pace(ledger, "a") == 30.0
    ledger.dispose()


def test_the_union_of_spans() -> None:
    assert covered_seconds([]) == 0.0
    assert covered_seconds([(5.0, 6.0), (0.0, 3.0), (1.0, 2.0), (2.5, 4.0)]) == 5.0


def test_a_bare_task_goes_through_a_broker_to_another_process(tmp_path: Path) -> None:
    with celery_alone(tmp_path / "celery") as app:
        assert worker_pid(app) not in (os.getpid(), 0)
        assert len(round_trips(app, 3)) == 3


def test_a_bare_worker_that_does_not_answer_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(celery_round_trip, "REDIS_URL", "SOMETHING_ELSE")
    with pytest.raises(RuntimeError, match="does not answer"), celery_alone(tmp_path / "celery"):
        pass
