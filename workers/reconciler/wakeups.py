"""Telling idle workers that there is something to do: best effort, because they also poll."""

import threading

import structlog
from celery import Celery
from sqlalchemy import Engine

from ledger import workers
from ledger.database import read
from ledger.recovery import due_wakeups
from workers.settings import QUEUE, WAKE, Settings

log = structlog.get_logger(__name__)


class Wakeups:
    """Publishes from a thread of its own, so that a slow or dead broker never delays recovery.

    Args:
        engine: The ledger.
        settings: The broker, and how many messages it may hold.
    """

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        self._celery = _publisher(settings.redis_url, settings.broker_timeout_seconds)
        self._ticks = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="wakeups", daemon=True)

    def start(self) -> None:
        """Begin to publish at every tick."""
        self._thread.start()

    def tick(self) -> None:
        """Look for shards that nobody was called for; returns at once."""
        self._ticks.set()

    def stop(self) -> None:
        """End, within a few timeouts."""
        self._stopping = True
        self._ticks.set()
        self._thread.join(4 * self._settings.broker_timeout_seconds)

    def publish(self) -> int:
        """Publish as many wake-ups as there are shards due and room in the queue.

        The queue is kept short, a few messages for each live worker: which shard runs next is the
        ledger's choice, and a backlog in Redis would outlive cancelled work.

        Returns:
            How many were published.
        """
        with read(self._engine) as conn:
            wanted = self._settings.hints_per_worker * len(workers.live(conn))
        if wanted == 0:
            return 0
        room = wanted - self._waiting()
        due = due_wakeups(self._engine, room) if room > 0 else 0
        for _ in range(due):
            self._celery.send_task(WAKE, queue=QUEUE, retry=False, ignore_result=True)
        return due

    def _waiting(self) -> int:
        """Messages in the queue."""
        with self._celery.connection_or_acquire() as connection:
            declared = connection.default_channel.queue_declare(QUEUE, passive=False)
            return int(declared.message_count)

    def _run(self) -> None:
        while True:
            self._ticks.wait()
            self._ticks.clear()
            if self._stopping:
                self._celery.close()
                return
            try:
                published = self.publish()
            except Exception as error:
                log.warning("wakeups_failed", error=type(error).__name__)
                continue
            if published:
                log.info("wakeups_published", count=published)


def _publisher(redis_url: str, timeout_seconds: float) -> Celery:
    app = Celery("tiltscope-reconciler", broker=redis_url, set_as_current=False)
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
