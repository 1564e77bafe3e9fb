"""A child process that is restarted when it dies, and that never outlives its parent."""

import ctypes
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1
RAPID_SECONDS = 5.0
"""A child that lives shorter than this did not start properly."""

RAPID_DEATHS = 4
"""Rapid deaths in a row after which restarting is no cure and the log has to be read."""


def _prepared(parent: int, niceness: int) -> Callable[[], None]:
    libc = ctypes.CDLL(None, use_errno=True)

    def prepare() -> None:
        os.nice(niceness)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died before prctl took effect
            os._exit(1)

    return prepare if sys.platform == "linux" else lambda: None


class ChildProcess:
    """One part of the embedded service.

    Args:
        name: For messages and the log file.
        command: Program and arguments.
        env: Its whole environment; `TILTSCOPE_BOOT_ID` is added, new at every start.
        log: File that receives its output.
        on_death: Called with the boot id of a dead run, before the next start.
        niceness: How far it and its children stand back where processors are short.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        env: Mapping[str, str],
        log: Path,
        on_death: Callable[[str], None] = lambda _: None,
        niceness: int = 0,
    ) -> None:
        self.name = name
        self.log = log
        self._command = list(command)
        self._env = dict(env)
        self._on_death = on_death
        self._niceness = niceness
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._rapid_deaths = 0
        self.boot_id = ""

    def start(self) -> None:
        """Start it in a session of its own, so that Ctrl-C reaches the parent alone."""
        self.boot_id = uuid.uuid4().hex
        self._started = time.monotonic()
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                env={**self._env, "TILTSCOPE_BOOT_ID": self.boot_id},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=_prepared(os.getpid(), self._niceness),
            )

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def revive(self) -> bool:
        """Restart it if it died; True if it had."""
        if self._process is None or self._process.poll() is None:
            return False
        rapid = time.monotonic() - self._started < RAPID_SECONDS
        self._rapid_deaths = self._rapid_deaths + 1 if rapid else 0
        self._on_death(self.boot_id)
        self.start()
        return True

    @property
    def is_hopeless(self) -> bool:
        """Whether it keeps dying as soon as it starts."""
        return self._rapid_deaths >= RAPID_DEATHS

    def last_words(self, lines: int = 12) -> str:
        """The end of its log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def terminate(self) -> None:
        """Ask it to end."""
        if self.pid is not None and self._process is not None:
            self._process.terminate()

    def wait(self, seconds: float) -> None:
        """Wait until it has ended; kill it when the time is over."""
        if self._process is None:
            return
        try:
            self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
