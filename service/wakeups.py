"""Telling workers that there is something to do: best effort, because they also look by themselves."""

import queue
import threading
from typing import Final

import structlog
from celery import Celery

TASK: Final = "tiltscope.wake"
QUEUE: Final = "tiltscope"
_STOP: Final = object()

log = structlog.get_logger(__name__)


class Wakeups:
    """Publishes wake-ups from a thread of its own: a slow or absent broker never delays a request."""

    def __init__(self, redis_url: str, *, timeout_seconds: float, backlog: int) -> None:
        self._celery = _publisher(redis_url, timeout_seconds)
        self._waiting: queue.Queue[object] = queue.Queue(maxsize=backlog)
        self._thread = threading.Thread(target=self._run, name="wakeups", daemon=True)
        self._patience = 4 * timeout_seconds
        self._is_full = True  # until it was counted

    @property
    def waiting(self) -> int:
        """Wake-ups not published yet."""
        return self._waiting.qsize()

    def start(self) -> None:
        """Begin to publish."""
        self._thread.start()

    def send(self) -> None:
        """Ask for one wake-up; dropped when many wait, since any one of them wakes a worker."""
        try:
            self._waiting.put_nowait(TASK)
        except queue.Full:
            log.warning("wakeup_dropped", waiting=self.waiting)

    def stop(self) -> None:
        """Publish what waits, within a few timeouts, and release the connections."""
        try:
            self._waiting.put(_STOP, timeout=self._patience)
        except queue.Full:
            return
        self._thread.join(self._patience)

    def _run(self) -> None:
        try:
            while self._waiting.get() is not _STOP:
                self._publish()
        finally:
            self._celery.close()

    def _publish(self) -> None:
        try:
            # Without workers nobody takes them: a queue of thousands would only wake for nothing later.
            if self._is_full and self._queued() >= self._waiting.maxsize:
                return
            self._celery.send_task(TASK, queue=QUEUE, retry=False, ignore_result=True)
            # Counted behind the message, which a worker waits for, and not before it.
            self._is_full = self._queued() >= self._waiting.maxsize
        except Exception as error:
            # Whatever the broker does, the analysis is committed and workers poll: only say so.
            log.warning("wakeup_failed", error=type(error).__name__)

    def _queued(self) -> int:
        """Messages that Redis holds."""
        with self._celery.connection_or_acquire() as connection:
            return int(connection.default_channel.queue_declare(QUEUE, passive=False).message_count)


def _publisher(redis_url: str, timeout_seconds: float) -> Celery:
    app = Celery("tiltscope-gateway", broker=redis_url, set_as_current=False)
    app.conf.update(
        broker_connection_timeout=timeout_seconds,
        broker_connection_retry=False,
        broker_transport_options={
            "socket_connect_timeout": timeout_seconds,
            "socket_timeout": timeout_seconds,
            "retry_on_timeout": False,
            "max_retries": 0,
        },
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
    )
    return app
