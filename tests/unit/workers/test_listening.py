"""A loop that sleeps learns at once that its task has ended."""

import threading

import pytest
from celery.worker import state
from kombu.asynchronous import Hub, get_event_loop, set_event_loop

from workers.listening import listen_again

ASLEEP = 3600.0


def until(happened):
    """Wait, not for ever."""
    patience = threading.Event()
    for _ in range(1000):
        if happened():
            return
        patience.wait(0.005)
    raise AssertionError("nothing happened")


@pytest.fixture
def hub():
    """A loop as in a worker: it waits for sockets, and nothing is due for an hour."""
    before = get_event_loop()
    made = Hub()
    set_event_loop(made)
    made.timer.call_after(ASLEEP, lambda: None)
    yield made
    made.close()
    set_event_loop(before)


class _Request:
    """What Celery keeps in a weak set."""


def test_the_loop_turns_once_celery_has_counted_the_task_as_ended(hub):
    free, stopping, turns = threading.Event(), threading.Event(), []

    def turn():
        turns.append(bool(state.reserved_requests))
        if not state.reserved_requests:
            free.set()

    def loop():
        while not stopping.is_set():
            hub.run_once()

    request = _Request()
    state.reserved_requests.add(request)
    hub.on_tick.add(turn)
    thread = threading.Thread(target=loop, daemon=True)
    try:
        thread.start()
        until(lambda: turns)
        listen_again()
        until(lambda: len(turns) > 3)  # it looks again, since the request is still there
        assert not free.is_set()
        state.reserved_requests.discard(request)
        assert free.wait(5.0), "the loop slept on"
    finally:
        state.reserved_requests.discard(request)
        stopping.set()
        hub.call_soon(lambda: None)
        thread.join(5.0)


def test_a_broker_without_a_loop_needs_no_telling():
    before = get_event_loop()
    set_event_loop(None)
    try:
        listen_again()
    finally:
        set_event_loop(before)
