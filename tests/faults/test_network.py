"""Test 26: slow, swallowed and reset connections to Redis and to PostgreSQL."""

import time

import psutil
import pytest
from tcp_proxy import TcpProxy


def threads_of(stack, name):
    return psutil.Process(stack.processes[name].pid).num_threads()


def trouble(proxy, seconds):
    proxy.mode = "slow"
    time.sleep(seconds)
    proxy.mode = "black_hole"
    time.sleep(seconds)
    proxy.mode = "reset"
    proxy.reset()
    time.sleep(seconds)
    proxy.mode = "open"


def test_on_the_way_to_redis(stack):
    stack.start_redis()
    proxy = TcpProxy(stack.redis_port)
    through = {"TILTSCOPE_REDIS_URL": f"redis://127.0.0.1:{proxy.port}/0"}
    stack.start_worker(**through, TILTSCOPE_POLL_SECONDS="1")
    stack.start_reconciler(**through)
    stack.ends(stack.submit())
    before = threads_of(stack, "worker"), threads_of(stack, "reconciler")
    started = []
    for _ in range(2):
        started.append(stack.submit(prompts=8, seconds=0.1))
        trouble(proxy, 3)
        stack.injected(3)
    for analysis in started:
        stack.ends(analysis)
        stack.assert_exact(analysis)
    after = threads_of(stack, "worker"), threads_of(stack, "reconciler")
    assert after[0] <= before[0] + 2
    assert after[1] <= before[1] + 2
    proxy.close()


@pytest.mark.slow
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_on_the_way_to_the_database(stack, postgres):
    proxy = TcpProxy(postgres.port)
    name = stack.engine.url.database
    through = {"TILTSCOPE_DATABASE_URL": f"postgresql+psycopg://postgres@127.0.0.1:{proxy.port}/{name}"}
    stack.start_reconciler()
    stack.start_worker("far", **through)
    analysis = stack.submit(prompts=8, prompts_per_shard=1, seconds=0.2)
    stack.until(stack.running, "a sample shard runs")
    trouble(proxy, 15)
    stack.injected(3)
    stack.ends(analysis)
    stack.assert_exact(analysis)
    assert [s for s in stack.shards() if s.failures or s.crashes] == []
    proxy.close()
