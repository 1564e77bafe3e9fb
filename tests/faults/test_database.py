"""Test 19: the database is locked for longer than anybody would like, or crashes."""

import signal
import sqlite3
import subprocess
import sys
import threading
import time

import pytest


def test_sqlite_locked_by_somebody_else_for_eight_seconds(stack):
    stack.start_reconciler()
    for name in ("one", "two"):
        stack.start_worker(name)
    analysis = stack.submit(prompts=8, prompts_per_shard=1, seconds=0.1)
    stack.until(stack.running, "a sample shard runs")
    other = sqlite3.connect(stack.home / "ledger.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    stack.injected()
    time.sleep(8)
    other.execute("COMMIT")
    other.close()
    stack.ends(analysis)
    stack.assert_exact(analysis)


def test_eight_writers_at_once(stack):
    program = """
import sys
from ledger.database import connect, write
from sqlalchemy import text
engine = connect(sys.argv[1])
for _ in range(100):
    with write(engine) as conn:
        conn.execute(text("UPDATE workers SET seen_at = seen_at + 1"))
"""
    stack.start_reconciler()
    stack.start_worker()
    analysis = stack.submit(prompts=8, prompts_per_shard=1)
    writers = [subprocess.Popen([sys.executable, "-c", program, stack.url]) for _ in range(8)]
    stack.injected(8)
    assert [writer.wait() for writer in writers] == [0] * 8
    stack.ends(analysis)
    stack.assert_exact(analysis)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
class TestPostgres:
    def test_crashed_and_started_again(self, stack, postgres):
        stack.start_reconciler()
        stack.start_worker()
        analysis = stack.submit(prompts=6, prompts_per_shard=1, seconds=0.2)
        for _ in range(2):
            stack.until(stack.running, "a sample shard runs")
            postgres.stop("immediate")
            stack.injected()
            stack.engine.dispose()
            time.sleep(1)
            postgres.start()
        stack.ends(analysis)
        stack.assert_exact(analysis)
        assert [s for s in stack.shards() if s.failures or s.crashes] == []

    def test_a_worker_paused_inside_a_transaction_holds_up_nobody(self, stack):
        """The server ends a transaction that idles, so its row locks last less than a lease."""
        stack.start_reconciler()
        worker = stack.start_worker("paused")
        stack.start_worker("other")
        analysis = stack.submit(prompts=12, prompts_per_shard=1, seconds=0.1)
        stack.until(stack.running, "a sample shard runs")
        over = threading.Event()

        def stutter():
            while not over.is_set():
                for signum in (signal.SIGSTOP, signal.SIGCONT):
                    worker.send_signal(signum)
                    time.sleep(0.7 if signum == signal.SIGSTOP else 0.05)
                stack.injected()

        thread = threading.Thread(target=stutter)
        thread.start()
        try:
            stack.ends(analysis)
        finally:
            over.set()
            thread.join()
        stack.assert_exact(analysis)
