"""Celery's loop listens again as soon as a wake-up has been worked on.

Without prefetching it does not listen to Redis meanwhile. When the task ends nothing stirs it, so it would
find out a second later, and an analysis submitted within that second would wait for the rest of it.
"""

from typing import Any, Final

from celery.worker import state
from kombu.asynchronous import get_event_loop

LOOK_SECONDS: Final = 0.002
"""Between two looks whether Celery has counted the task as ended: it does so just after the task returns."""


def listen_again() -> None:
    """Stir the loop; to be called at the end of a task, from its thread."""
    loop: Any = get_event_loop()
    if loop is not None:  # brokers other than Redis have none
        loop.call_soon(_look, loop)


def _look(loop: Any) -> None:
    # Each turn of the loop asks anew whether it may listen.
    if state.reserved_requests:
        loop.call_later(LOOK_SECONDS, _look, loop)
