"""Where a worker process is put together: Celery delivers wake-ups, the crew does the work.

Started by ``celery -A workers.celery_app worker -P threads -c 1``.
"""

import atexit
import os
import signal
from typing import Any, Final

from celery import Celery
from celery.signals import celeryd_after_setup, worker_shutdown, worker_shutting_down

from ledger.database import connect
from workers.logs import configure_logs
from workers.settings import QUEUE, Settings
from workers.supervisor.crew import Crew


def make_app(redis_url: str) -> Celery:
    """A Celery application in which a message is a wake-up and losing it loses nothing."""
    made = Celery("tiltscope", broker=redis_url, include=["workers.tasks"])
    made.conf.update(
        # Acknowledged at the start: recovery is by lease, never by a broker's redelivery.
        task_acks_late=False,
        task_ignore_result=True,
        result_backend=None,
        task_default_queue=QUEUE,
        # A message a busy worker holds back is one an idle worker does not see.
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        broker_connection_max_retries=None,
        broker_connection_retry_on_startup=True,
        broker_transport_options={
            "visibility_timeout": 3600,
            "socket_timeout": 10,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
            "health_check_interval": 25,
        },
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0, "interval_max": 0.5},
        accept_content=["json"],
        task_serializer="json",
        # The ledger carries cancelling and health; anyone who can write to Redis could send commands.
        worker_enable_remote_control=False,
        # Nothing here is acknowledged late, so a lost connection interrupts no task.
        worker_cancel_long_running_tasks_on_connection_loss=True,
        worker_redirect_stdouts=False,
    )
    return made


settings: Final = Settings()
app: Final = make_app(settings.redis_url)


def _leave() -> None:
    os.kill(os.getpid(), signal.SIGTERM)  # Celery's own way out: what restarts workers brings a fresh one


crew: Final = Crew(connect(settings.ledger_url), settings.identity(), settings, _leave)


def _start(**_: Any) -> None:
    # Not at worker_ready, which waits for Redis: a worker polls from the start.
    configure_logs()
    atexit.register(crew.close)
    crew.start()


def _drain(**_: Any) -> None:
    crew.drain()


def _close(**_: Any) -> None:
    crew.close()


celeryd_after_setup.connect(_start, weak=False)
worker_shutting_down.connect(_drain, weak=False)
worker_shutdown.connect(_close, weak=False)
