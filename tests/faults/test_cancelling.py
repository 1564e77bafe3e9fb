"""Test 22: cancelled twice at twenty moments, some of them while the last shard commits."""

import random
import threading
import time

import pytest
from fault_stack import BOTH
from sqlalchemy import select

from ledger.database import read
from ledger.tables import attempts, shards


@pytest.mark.parametrize("database", BOTH, indirect=True)
def test_at_twenty_moments(stack):
    stack.start_reconciler()
    stack.start_worker("one")
    stack.start_worker("two")
    stack.until(lambda: stack.ends(stack.submit(prompts=1)), "workers are warm")
    moments = random.Random(22)
    states = set()
    for _ in range(20):
        analysis = stack.submit(prompts=4, prompts_per_shard=1, samples=3, seconds=0.02)
        time.sleep(moments.uniform(0, 0.9))
        both = [threading.Thread(target=stack.cancel, args=(analysis,)) for _ in range(2)]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
        stack.injected()
        row = stack.ends(analysis)
        states.add(row.status)
        assert row.status in {"cancelled", "succeeded"}
        with read(stack.engine) as conn:
            later = (
                select(attempts.c.shard_id)
                .join(shards, shards.c.id == attempts.c.shard_id)
                .where(shards.c.analysis_id == analysis, attempts.c.started_at > row.finished_at)
            )
            assert conn.execute(later).all() == [], "nothing is claimed after the end"
    assert "cancelled" in states
