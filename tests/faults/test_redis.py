"""Tests 4 to 7, 9 and 10: whatever becomes of Redis, no analysis hangs and no worker goes deaf."""

import random
import signal
import uuid

import pytest
from redis import Redis

from workers.celery_app import make_app
from workers.settings import QUEUE, WAKE

DEAF = {"TILTSCOPE_POLL_SECONDS": "3600"}
"""A worker that never looks by itself: it works only if it hears."""


def client(stack):
    return Redis(port=stack.redis_port, socket_timeout=10)


def test_killed_ten_times_without_persistence(stack):
    """Test 4. The worker does not poll, so each round is proof that it listens again."""
    stack.start_redis()
    stack.start_worker(**DEAF)
    stack.start_reconciler()
    started = []
    for _ in range(10):
        stack.kill("redis")
        stack.injected()
        stack.start_redis()
        came_back = stack.database_time()
        started.append(stack.submit(prompts=2, samples=2))
        stack.ends(started[-1])
        stack.recovered_in(stack.first_claim_after(came_back) - came_back)
    for analysis in started:
        stack.assert_exact(analysis)


def test_emptied_with_two_hundred_shards_ready(stack):
    """Test 5."""
    stack.start_redis()
    stack.start_worker(**DEAF)
    stack.start_reconciler()
    analysis = stack.submit(prompts=200, prompts_per_shard=1, samples=1, seconds=0.01)
    stack.until(lambda: len(stack.shards(state="READY")) > 150, "the round is open")
    with client(stack) as redis:
        redis.flushall()
    stack.injected()
    stack.ends(analysis)
    stack.assert_exact(analysis)


@pytest.mark.slow
def test_frozen_and_its_clients_cut(stack):
    """Test 7: forty seconds frozen, far beyond every timeout of the client, then every connection cut."""
    stack.start_redis()
    stack.start_worker(**DEAF)
    stack.start_reconciler()
    first = stack.submit()
    stack.ends(first)
    stack.pause("redis", 40.0)
    with client(stack) as redis:
        for other in redis.client_list():
            if int(other["id"]) != redis.client_id():
                redis.client_kill_filter(_id=other["id"])
    stack.injected()
    second = stack.submit()
    stack.ends(second)
    stack.assert_exact(first)
    stack.assert_exact(second)


def test_a_message_taken_by_a_worker_that_dies_is_not_missed(stack):
    """Test 9: published to a stopped, idle worker that is then killed: Redis has forgotten the message."""
    stack.start_redis()
    stack.start_worker("doomed", **DEAF)
    stack.start_reconciler()
    stack.ends(stack.submit(prompts=1))
    stack.processes["doomed"].send_signal(signal.SIGSTOP)
    analysis = stack.submit()
    stack.until(lambda: stack.shards(analysis_id=analysis)[0].dispatched_at, "the analysis is announced")
    stack.kill("doomed")
    with client(stack) as redis:
        # What the stopped worker's socket had not swallowed is forgotten here: how much that was depends on
        # when its last request ran out.
        redis.delete(QUEUE)
    stack.injected()
    stack.start_worker("other")
    stack.ends(analysis)
    stack.assert_exact(analysis)


def test_every_hint_five_times_and_nonsense_among_them(stack):
    """Test 10: repeated, stale and unknown messages do nothing but wake."""
    stack.start_redis()
    for name in ("one", "two"):
        stack.start_worker(name)
    stack.start_reconciler()
    analysis = stack.submit(prompts=20, prompts_per_shard=1, samples=3)
    app = make_app(f"redis://127.0.0.1:{stack.redis_port}/0")
    ids = [shard.id for shard in stack.shards()] + [f"shd_{uuid.uuid4().hex}" for _ in range(10)]
    hints = [((), {}), *(((shard_id,), {}) for shard_id in ids)] * 5
    random.Random(10).shuffle(hints)
    for arguments, options in hints:
        app.send_task(WAKE, args=arguments, kwargs=options, queue=QUEUE)
        stack.injected()
    app.send_task("tiltscope.nonsense", queue=QUEUE)
    app.close()
    stack.ends(analysis)
    stack.assert_exact(analysis)
    assert set(stack.outcomes()) == {"done"}
    assert all(worker.poll() is None for worker in stack.processes.values()), "nobody fell over nonsense"


@pytest.mark.slow
def test_a_minute_without_redis(stack):
    """Test 6: accepted and worked on meanwhile; the gateway's side is in the tests of the service."""
    stack.start_redis()
    stack.start_worker(TILTSCOPE_POLL_SECONDS="1")
    stack.start_reconciler()
    started = [stack.submit()]
    stack.kill("redis")
    stack.injected()
    for _ in range(6):
        started.append(stack.submit(prompts=10, samples=5, seconds=0.2))
        stack.ends(started[-1])
    stack.start_redis()
    started.append(stack.submit())
    for analysis in started:
        stack.ends(analysis)
        stack.assert_exact(analysis)
