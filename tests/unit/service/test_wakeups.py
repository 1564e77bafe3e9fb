import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

from service.wakeups import QUEUE, Wakeups
from tiltscope.broker import find_server, free_port


@pytest.fixture
def silent_broker() -> Iterator[socket.socket]:
    """Takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_sending_never_waits_for_the_broker(silent_broker: socket.socket) -> None:
    port = silent_broker.getsockname()[1]
    wakeups = Wakeups(f"redis://127.0.0.1:{port}/0", timeout_seconds=1.0, backlog=3)
    wakeups.start()
    wakeups.send()
    connection, _ = silent_broker.accept()
    for _ in range(50):
        wakeups.send()
    # The first is still being published: the rest waits, and what does not fit is dropped.
    assert wakeups.waiting == 3
    connection.close()
    silent_broker.close()
    wakeups.stop()


def test_a_broker_that_is_not_there_is_no_error() -> None:
    wakeups = Wakeups("redis://127.0.0.1:1/0", timeout_seconds=0.2, backlog=3)
    wakeups.start()
    wakeups.send()
    wakeups.stop()
    assert wakeups.waiting == 0


def test_a_queue_that_nobody_empties_stays_short(tmp_path: Path) -> None:
    """A thousand requests without a worker leave a handful of messages."""
    found = find_server()
    if found is None:
        pytest.skip("no Redis: apt-get install redis-server")
    port = free_port()
    command = [str(found[0]), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    command += ["--dir", str(tmp_path)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        with Redis(port=port) as redis:
            until(lambda: answers(redis))
            wakeups = Wakeups(f"redis://127.0.0.1:{port}/0", timeout_seconds=5.0, backlog=8)
            wakeups.start()
            for _ in range(100):
                wakeups.send()
                until(lambda: wakeups.waiting == 0)
            wakeups.stop()
            assert redis.llen(QUEUE) == 8
    finally:
        server.terminate()
        server.wait()


def until(holds: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


def answers(redis: Redis) -> bool:
    try:
        return bool(redis.ping())
    except RedisError:
        return False
