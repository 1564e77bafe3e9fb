"""Test 23: ten thousand shards cost Redis nothing, and each step what it costs among a thousand."""

import statistics
import time
from collections import Counter

import httpx
import psutil
import pytest
from fault_stack import BOTH
from redis import Redis

from ledger import models
from ledger.claims import claim_next, release
from ledger.database import write
from ledger.workers import WorkerIdentity
from tiltscope.broker import free_port
from workers.settings import QUEUE, Settings

FEW, MANY = 1_000, 10_000
WORKERS = [f"w{number}" for number in range(4)]
CLAIMS = 400
"""Looked at in windows of a hundred."""

REPEATS = 60
SOMEBODY = WorkerIdentity("measuring", "boot", "host")
QUIET = {"prompts_per_shard": 1, "samples": 1, "seconds": 0.02}


@pytest.fixture
def sizes(stack_of):
    """Two stacks alike but for the number of shards that wait."""
    return {count: stack_of(f"of-{count}") for count in (FEW, MANY)}


def open_round(stack, count):
    """One analysis with that many shards waiting, and nobody at work."""
    stack.start_reconciler()
    stack.start_worker("planner", TILTSCOPE_WORKS="plan")
    analysis = stack.submit(prompts=count, **QUIET)
    stack.until(lambda: stack.count(state="READY", work="sample") == count, "the round is open")
    # In order, not killed: on PostgreSQL it still has the shards counted once the round is there to be seen.
    stack.end("planner")
    return analysis


def claim_seconds(stack):
    began = time.perf_counter()
    claim = claim_next(stack.engine, SOMEBODY)
    took = time.perf_counter() - began
    assert claim is not None
    assert release(stack.engine, claim, reason="measured", penalty=False)
    return took


def rss(stack, name):
    return psutil.Process(stack.processes[name].pid).memory_info().rss


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("database", BOTH, indirect=True)
class TestScale:
    def test_a_claim_and_the_memory_of_gateway_and_reconciler(self, sizes):
        """Interleaved, so that a busy machine is as busy for both; figures are ratios."""
        ports = {count: free_port() for count in sizes}
        for count, stack in sizes.items():
            analysis = open_round(stack, count)
            stack.start_gateway(ports[count])
            url = f"http://127.0.0.1:{ports[count]}"
            stack.until(lambda url=url: answers(f"{url}/readyz"), "the gateway is ready")
            for _ in range(20):
                assert httpx.get(f"{url}/v1/analyses/{analysis}", timeout=60).status_code == 200
        took = {count: [] for count in sizes}
        for _ in range(REPEATS):
            for count, stack in sizes.items():
                took[count].append(claim_seconds(stack))
        few, many = sizes[FEW], sizes[MANY]
        claims = statistics.median(took[MANY]) / statistics.median(took[FEW])
        memory = {name: rss(many, name) / rss(few, name) for name in ("gateway", "reconciler")}
        print(f"claim x{claims:.2f}, " + ", ".join(f"{name} x{ratio:.2f}" for name, ratio in memory.items()))
        assert claims <= 1.5
        assert all(ratio <= 1.10 for ratio in memory.values()), memory
        for stack in sizes.values():
            stack.cancel(stack.submitted[0])
            stack.ends(stack.submitted[0])

    def test_two_tenants_and_a_short_queue(self, stack):
        stack.start_redis()
        stack.start_reconciler()
        stack.until(stack.registered, "the model is registered")
        with write(stack.engine) as conn:
            known = models.get(conn, "default", "tiny")._asdict()
            record = {name: known[name] for name in models.COLUMNS}
            models.upsert(conn, "other", record)
        for name in WORKERS:
            stack.start_worker(name)
        for tenant in ("default", "other"):
            stack.submit(tenant_id=tenant, prompts=MANY // 2, **QUIET)
        stack.until(lambda: stack.count(state="READY", work="sample") > MANY - 500, "both rounds are open")
        opened = stack.database_time()
        most = 0
        with Redis(port=stack.redis_port) as redis:
            while len(stack.claims_after(opened)) < CLAIMS:
                most = max(most, redis.llen(QUEUE))
                time.sleep(0.05)
            memory = redis.info()["used_memory"]
        assert most <= Settings().hints_per_worker * len(WORKERS)
        claims = stack.claims_after(opened)
        for start in range(0, CLAIMS, 100):
            share = share_of_time(claims, claims[start].started_at, claims[start + 99].started_at)
            assert 0.4 <= share["default"] <= 0.6, share
        print(f"at most {most} messages, {memory / 2**20:.1f} MiB of Redis")
        for analysis in stack.submitted:
            stack.cancel(analysis)
            stack.ends(analysis)


def share_of_time(claims, start, end):
    """What each tenant had of the workers' time between two moments.

    Not of the claims: each tenant has two workers, and one that the machine holds up serves fewer shards.
    """
    held = Counter()
    for claim in claims:
        until = end if claim.ended_at is None else min(claim.ended_at, end)
        held[claim.tenant_id] += max(0, until - max(claim.started_at, start))
    return {tenant: time / held.total() for tenant, time in held.items()}


def answers(url):
    try:
        return httpx.get(url, timeout=10).status_code == 200
    except httpx.TransportError:
        return False
