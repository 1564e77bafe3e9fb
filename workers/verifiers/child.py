"""Processes that judge what could run away: killed and replaced when a text takes too long or too much.

A child says `ready` when it is warm, then answers each line with one line, both JSON. It counts its own CPU
time, so that a busy machine does not change an outcome, and ends by itself when the limit is passed; the
parent's wall clock is only for a child that sleeps.
"""

import contextlib
import json
import os
import queue
import select
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator
from typing import Any, Final

from workers.errors import WorkerError

CPU_SECONDS: Final = 3.0
"""For one text: a hard integral takes two on a slow machine, and a bomb never ends."""

WALL_SECONDS: Final = 60.0
"""For one text on a machine that is busy with other things."""

START_SECONDS: Final = 300.0
"""To import a computer algebra system from a cold, shared disk."""

MEMORY_BYTES: Final = 2 << 30
"""Address space: several times what the libraries take, a fraction of a worker's."""

KEPT_ENVIRONMENT: Final = ("PATH", "PYTHONPATH", "VIRTUAL_ENV", "LANG", "LC_ALL", "TMPDIR")
"""Of the parent's: no secret, no address of ledger or broker."""


class ChildFailed(WorkerError):
    """A child gave no answer to one text; the message says why."""

    code = "verifier_child_failed"


class Child:
    """One judging process.

    Args:
        rules: What it judges by: a name that `workers.verifiers.child_main` knows.
    """

    def __init__(self, rules: str) -> None:
        kept = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
        command = [sys.executable, "-m", "workers.verifiers.child_main", rules]
        limits = [str(CPU_SECONDS), str(MEMORY_BYTES)]
        self._process = subprocess.Popen(
            [*command, *limits],
            env={**kept, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._rest = b""
        self._read(START_SECONDS)

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request and wait for its answer.

        Raises:
            ChildFailed: there is none; this child is gone then.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise ChildFailed(self._end()) from None
        return self._read(WALL_SECONDS)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _read(self, seconds: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        deadline = time.monotonic() + seconds
        while b"\n" not in self._rest:
            left = max(0.0, deadline - time.monotonic())
            if not select.select([self._process.stdout], [], [], left)[0]:
                self.close()
                raise ChildFailed(f"no answer within {seconds:.0f} s")
            data = os.read(self._process.stdout.fileno(), 1 << 16)
            if not data:
                raise ChildFailed(self._end())
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _end(self) -> str:
        """Reap it and say how it ended."""
        try:
            code = self._process.wait(WALL_SECONDS)
        except subprocess.TimeoutExpired:
            code = 0
        self.close()
        if code == -signal.SIGPROF:
            return f"the text took more than {CPU_SECONDS:.0f} s of CPU time"
        if code < 0:
            return f"the judging process was ended by {signal.Signals(-code).name}"
        return f"the judging process ended with exit code {code}"


Idle = queue.LifoQueue[Child | None]


class ChildPool:
    """Children of one kind, started when first needed and kept warm.

    Args:
        rules: As in `Child`.
        size: Children at once.
    """

    def __init__(self, rules: str, size: int) -> None:
        self._rules = rules
        self._idle: Idle = queue.LifoQueue()
        for _ in range(size):
            self._idle.put(None)
        weakref.finalize(self, _end_idle, self._idle)

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Ask whichever child is idle; safe from several threads.

        Raises:
            ChildFailed: no answer to this request; the next one gets a new child.
        """
        with self._child() as child:
            return child.ask(request)

    @contextlib.contextmanager
    def _child(self) -> Iterator[Child]:
        child = self._idle.get()
        try:
            child = child or Child(self._rules)
            yield child
        except BaseException:
            if child is not None:
                child.close()
            child = None
            raise
        finally:
            self._idle.put(child)

    def close(self) -> None:
        """End the idle children; also done when nobody holds the pool any more."""
        _end_idle(self._idle)


def _end_idle(idle: Idle) -> None:
    for _ in range(idle.qsize()):
        if (child := idle.get()) is not None:
            child.close()
        idle.put(None)
