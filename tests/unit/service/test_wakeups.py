import socket
from collections.abc import Iterator

import pytest

from service.wakeups import Wakeups


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
