"""The supervisor's handle on an engine host process."""

import contextlib
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Collection, Mapping, Sequence
from typing import IO, Final

import structlog

from ledger.states import Work
from workers.host.known_requests import Told
from workers.host.protocol import READY, Message, decode, encode

SECRETS: Final = ("TILTSCOPE_DATABASE_URL", "TILTSCOPE_REDIS_URL")
"""Not for a process that reads strangers' model folders."""

CLOSE_SECONDS: Final = 2.0
"""For a host to notice that its stdin ended."""

log = structlog.get_logger(__name__)


class HostDied(Exception):
    """The engine host is gone.

    Attributes:
        detail: Its exit code or signal.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class EngineHost:
    """A running engine host, the leader of a session and process group of its own.

    Start it from a thread that lives as long as the supervisor: the kernel kills the host when the
    thread that started it ends.

    Args:
        command: Program and arguments.
        environment: Its whole environment.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.resident: frozenset[str] = frozenset()
        self._spent = False
        self._told = Told()
        self._process = subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._heard: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._to_say: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        # Threads, because a host that is stopped or hung must not block whoever watches it.
        threading.Thread(
            target=self._read, args=(self._process.stdout,), name="host-reader", daemon=True
        ).start()
        threading.Thread(
            target=self._write, args=(self._process.stdin,), name="host-writer", daemon=True
        ).start()

    @property
    def pid(self) -> int:
        """Its process id, and that of its group."""
        return self._process.pid

    @property
    def usable(self) -> bool:
        """Whether it lives and has not said that it is about to leave."""
        return self._process.poll() is None and not self._spent

    def send(self, message: Message) -> None:
        """Say something; never blocks, and a dead host is noticed by `receive`."""
        self._to_say.put(encode(message))

    def run(self, message: Message) -> None:
        """As `send`, a ``run`` message: without its request if this host was told that before."""
        self.send(self._told.shortened(message))

    def receive(self, timeout: float) -> Message | None:
        """The next event; None if there is none in time.

        Raises:
            HostDied: once it is gone and everything it said was received.
        """
        ended = self._process.poll() is not None
        try:
            event = self._heard.get(timeout=timeout)
        except queue.Empty:
            if not ended:
                return None
            self.kill()  # a child of the dead host holds its pipe open
            event = self._heard.get(timeout=CLOSE_SECONDS)
        if event is None:
            self._heard.put(None)
            raise HostDied(self._reap())
        self.resident = frozenset(event.get("resident", self.resident))
        self._spent = not event.get("fit", True)
        return event

    def is_ready(self, timeout: float) -> bool:
        """Whether it reported ready within the time.

        Raises:
            HostDied: if it ended instead.
        """
        event = self.receive(timeout)
        return event is not None and event["event"] == READY

    def kill(self) -> None:
        """End it and everything it started, now."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._to_say.put(None)

    def close(self) -> None:
        """Let it end by itself, then make sure that it has."""
        self._to_say.put(None)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(CLOSE_SECONDS)
        self.kill()

    def _reap(self) -> str:
        """Wait for the end and say how it came, leaving nothing behind of what the host had started."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(CLOSE_SECONDS)
        self.kill()
        code = self._process.returncode
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                try:
                    self._heard.put(decode(line))
                except ValueError:
                    log.error("host_line_ignored", pid=self.pid, bytes=len(line))
        self._heard.put(None)

    def _write(self, stream: IO[bytes]) -> None:
        # Leaving closes the host's stdin, which tells it to end.
        with contextlib.suppress(OSError), stream:
            while (message := self._to_say.get()) is not None:
                stream.write(message)
                stream.flush()


def host_environment(
    environment: Mapping[str, str], threads: int, gpu: str = "", works: Collection[str] = frozenset(Work)
) -> dict[str, str]:
    """What a host's environment is: no secrets, no network, and thread counts set before torch is imported.

    Args:
        environment: The supervisor's own.
        threads: CPU threads of the engine.
        gpu: The only GPU it may see, by UUID or index; empty leaves what the supervisor itself sees.
        works: What it will be asked for.
    """
    kept = {name: value for name, value in environment.items() if name not in SECRETS}
    counts = dict.fromkeys(
        ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), str(threads)
    )
    pinned = {"CUDA_VISIBLE_DEVICES": gpu, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"} if gpu else {}
    always = {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
        "TILTSCOPE_WORKS": ",".join(sorted(works)),
    }
    return {**kept, **counts, **pinned, **always}
