"""Round trips of a task that does nothing, through a real broker and one worker process."""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from celery import Celery

from benchmarks.performance.bare_celery import REDIS_URL, TASK, bare
from benchmarks.performance.servers import START_SECONDS, start_process
from tiltscope.broker import choose_broker
from tiltscope.process import ChildProcess

ANSWER_SECONDS = 60.0
"""A task that takes longer will not come back."""


@contextmanager
def celery_alone(home: Path) -> Iterator[Celery]:
    """A Redis and a worker of their own; the application that sends to them, once the worker answers.

    Args:
        home: A folder for it; made.

    Raises:
        SetupError: There is no Redis.
        RuntimeError: The worker does not answer; with the end of its log.
    """
    home.mkdir()
    broker = choose_broker(home)
    with ExitStack() as ending:
        if broker.command is not None:
            start_process(ending, "broker", broker.command, {}, home)
        app = bare(broker.url)
        ending.callback(app.close)
        with app.connection_for_write() as connection:
            connection.ensure_connection(timeout=START_SECONDS, interval_start=0.1, interval_step=0)
        command = [sys.executable, "-m", "benchmarks.performance.bare_celery"]
        worker = start_process(ending, "worker", command, {REDIS_URL: broker.url}, home)
        _await(app, worker)
        yield app


def worker_pid(app: Celery) -> int:
    """Id of the process that does the task."""
    return int(app.tasks[TASK].delay().get(timeout=ANSWER_SECONDS))


def round_trips(app: Celery, count: int) -> list[float]:
    """Seconds from ``delay()`` to the end of ``get()``, one task after the other.

    Raises:
        celery.exceptions.TimeoutError: One does not come back.
    """
    found = []
    for _ in range(count):
        start = time.perf_counter()
        worker_pid(app)
        found.append(time.perf_counter() - start)
    return found


def _await(app: Celery, worker: ChildProcess) -> None:
    # A ping, not a task: a result that is never fetched outlives its Redis and fails where it is collected.
    give_up = time.monotonic() + START_SECONDS
    while not app.control.ping(timeout=0.5):
        if worker.pid is None or time.monotonic() > give_up:
            raise RuntimeError(f"the bare worker does not answer:\n{worker.last_words()}")
