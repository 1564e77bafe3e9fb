import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger.database import read, write
from ledger.errors import NotFound
from ledger.events import after, append


def test_numbers_have_no_gaps_under_concurrent_writers(bench):
    first, second = bench.submit(), bench.submit()
    start = threading.Barrier(8)

    def add(number):
        start.wait()
        for i in range(10):
            with write(bench.engine) as conn:
                append(conn, (first, second)[number % 2], "progress", {"by": number, "i": i})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(8)))
    for analysis_id in (first, second):
        assert [event.seq for event in bench.events(analysis_id)] == list(range(1, 42))


def test_a_number_rolled_back_is_used_again(bench):
    analysis_id = bench.submit()

    def interrupted():
        with write(bench.engine) as conn:
            assert append(conn, analysis_id, "progress", {}) == 2
            raise RuntimeError

    with pytest.raises(RuntimeError):
        interrupted()
    with write(bench.engine) as conn:
        assert append(conn, analysis_id, "progress", {}) == 2


def test_replay_starts_behind_the_last_one_seen(bench):
    analysis_id = bench.submit()
    with write(bench.engine) as conn:
        for i in range(5):
            append(conn, analysis_id, "progress", {"i": i})
    with read(bench.engine) as conn:
        assert [e.seq for e in after(conn, "default", analysis_id, 2, 3)] == [3, 4, 5]
        assert after(conn, "default", analysis_id, 6, 3) == []
        assert after(conn, "other", analysis_id, 0, 3) == []


def test_an_event_needs_an_analysis(bench):
    with pytest.raises(NotFound), write(bench.engine) as conn:
        append(conn, "anl_nobody", "status", {})
