"""The gateway as a process, on real sockets, with a real Redis and a real SQLite file."""

import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0

BODY = {
    "kind": "support",
    "reference": {"model": "tiny-base"},
    "prompts": {"inline": [{"id": "p1", "prompt": "12+30=", "answer": "42"}]},
    "signal": {"kind": "exact"},
}


def eventually(true: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := true():
            return found
        time.sleep(0.02)
    raise AssertionError(f"never: {what}")


class Process:
    """A server process on a port of its own."""

    def __init__(self, command: list[str], env: dict[str, str], log: Path, port: int):
        self._command, self._env, self._log, self.port = command, env, log, port
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._command, cwd=ROOT, env=self._env, stdout=log, stderr=log)
        eventually(self._listens, f"{self._command} listens: {self._log.read_text()}")

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)

    def _listens(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self._log.read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def submit(client: httpx.Client, **headers: str) -> httpx.Response:
    answer = client.post("/v1/analyses", json=BODY, headers=headers)
    assert answer.status_code == 202, answer.text
    return answer
