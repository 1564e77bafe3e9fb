"""The one task: a wake-up. It carries nothing, so a forged or repeated one does no harm."""

from workers.celery_app import app, supervisor
from workers.settings import WAKE


def _wake() -> None:
    supervisor.run_ready()


wake = app.task(_wake, name=WAKE, ignore_result=True)
