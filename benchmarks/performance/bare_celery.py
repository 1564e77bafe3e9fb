"""A Celery worker with one task that does nothing: the comparator of the wait for a first shard."""

import os

from celery import Celery

TASK = "process_id"
REDIS_URL = "BARE_CELERY_REDIS_URL"
POOL = "solo"
"""The worker's one process runs the tasks itself: no pool has a shorter round trip."""


def bare(url: str) -> Celery:
    """An application whose broker and result backend are one Redis; all else is as Celery has it."""
    app = Celery("bare", broker=url, backend=url, set_as_current=False)

    @app.task(name=TASK, shared=False)  # type: ignore[untyped-decorator]
    def process_id() -> int:
        """Nothing; the answer shows that another process did it."""
        return os.getpid()

    return app


if __name__ == "__main__":
    bare(os.environ[REDIS_URL]).worker_main(["worker", "--pool", POOL, "--loglevel", "WARNING"])
