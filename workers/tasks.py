"""The one task: a wake-up. It carries nothing, so a forged or repeated one does no harm."""

from workers.celery_app import app, crew
from workers.listening import listen_again
from workers.settings import WAKE


def _wake() -> None:
    try:
        crew.run_ready()
    finally:
        listen_again()


wake = app.task(_wake, name=WAKE, ignore_result=True)
