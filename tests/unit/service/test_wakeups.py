import socket
import time
from collections.abc import Callable, Iterator

import pytest
from redis import Redis

from service.wakeups import QUEUE, Wakeups


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


def test_a_queue_that_nobody_empties_stays_short(redis_url: str) -> None:
    """A thousand requests without a worker leave a handful of messages."""
    wakeups = Wakeups(redis_url, timeout_seconds=5.0, backlog=8)
    wakeups.start()
    for _ in range(100):
        wakeups.send()
        until(lambda: wakeups.waiting == 0)
    wakeups.stop()
    with Redis.from_url(redis_url) as redis:
        assert redis.llen(QUEUE) == 8


def until(holds: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)
