import contextlib
import socket
import subprocess
import time

import pytest
from kombu.exceptions import OperationalError
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis_server import redis_command

from ledger import analyses, workers
from ledger.database import write
from ledger.ids import new_id
from workers.reconciler.wakeups import Wakeups
from workers.settings import QUEUE, Settings


@pytest.fixture
def redis(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = serve(port, tmp_path)
    client = Redis(port=port)
    client.server = server
    await_answer(client)
    yield client
    client.close()
    client.server.kill()
    client.server.wait()


def serve(port, folder):
    return subprocess.Popen(redis_command(port, folder), stdout=subprocess.DEVNULL)


def await_answer(client):
    give_up_at = time.monotonic() + 60
    while True:
        try:
            client.ping()
            break
        except RedisConnectionError:
            assert time.monotonic() < give_up_at
            time.sleep(0.02)


def url(redis):
    return f"redis://127.0.0.1:{redis.connection_pool.connection_kwargs['port']}/0"


def submit(engine, count):
    for _ in range(count):
        with write(engine) as conn:
            analyses.create(
                conn,
                tenant_id="default",
                analysis_id=new_id("anl"),
                kind="support",
                name=None,
                labels={},
                spec={},
                spec_sha256="0",
                deadline_seconds=None,
                retention_seconds=None,
            )


def be_seen(engine, name):
    workers.seen(engine, workers.WorkerIdentity(id=name, boot_id="b", host="h"), ())


def test_the_queue_holds_a_few_wakeups_for_each_live_worker(engine, redis):
    wakeups = Wakeups(engine, Settings(redis_url=url(redis), hints_per_worker=3))
    submit(engine, 10)
    assert wakeups.publish() == 0, "nobody is there to be woken"
    be_seen(engine, "one")
    assert wakeups.publish() == 3
    assert wakeups.publish() == 0
    redis.lpop(QUEUE)
    assert wakeups.publish() == 1
    be_seen(engine, "two")
    assert wakeups.publish() == 3
    assert redis.llen(QUEUE) == 6


def test_each_shard_is_called_for_once(engine, redis):
    wakeups = Wakeups(engine, Settings(redis_url=url(redis)))
    be_seen(engine, "one")
    submit(engine, 1)
    assert wakeups.publish() == 1
    redis.flushall()
    assert wakeups.publish() == 0


def test_a_restarted_broker_is_used_again(engine, redis, tmp_path):
    wakeups = Wakeups(engine, Settings(redis_url=url(redis)))
    be_seen(engine, "one")
    submit(engine, 1)
    assert wakeups.publish() == 1
    redis.server.kill()
    redis.server.wait()
    redis.server = serve(redis.connection_pool.connection_kwargs["port"], tmp_path)
    await_answer(redis)
    submit(engine, 1)
    attempts = 0
    while not redis.llen(QUEUE):
        attempts += 1
        assert attempts < 5
        with contextlib.suppress(OSError, OperationalError):
            wakeups.publish()


def test_a_dead_broker_costs_nothing(engine):
    wakeups = Wakeups(engine, Settings(redis_url="redis://127.0.0.1:1/0", broker_timeout_seconds=0.2))
    be_seen(engine, "one")
    submit(engine, 1)
    wakeups.start()
    wakeups.tick()
    wakeups.stop()
    assert not wakeups._thread.is_alive()
    with engine.connect() as conn:
        called = conn.exec_driver_sql("select dispatched_at from shards").scalars().all()
    assert called == [None], "the shard is called for when the broker is back"
