"""`tiltscope up` as people start it: what it leaves behind, however it ends, and why it refuses to start."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from embedded_stack import PATIENCE, EmbeddedStack, end_all, logs_of, processes_of

from tiltscope.broker import free_port
from tiltscope.embedded import WORKER_NICENESS

GONE_SECONDS = 20.0
"""Generous: the kernel kills the parts with their parent, and engines with theirs, at once."""

BROKER = "redis-server" if shutil.which("redis-server") else "valkey-server"
"""The machine's own broker, else the one that pip brought."""
PARTS = (BROKER, "service.main", "workers.reconciler.main", "celery", "workers.host.main")


class Launcher:
    """`tiltscope up` in a process of its own."""

    def __init__(self, home: Path, models: Path, port: int) -> None:
        self.home, self.url = home, f"http://127.0.0.1:{port}"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TILTSCOPE_")}
        self._said = home.with_name(f"{home.name}-{port}.err")
        command = [sys.executable, "-m", "tiltscope", "up"]
        with self._said.open("wb") as said:
            self.process = subprocess.Popen(
                [*command, "--models", str(models), "--port", str(port)],
                env={**environment, "TILTSCOPE_HOME": str(home), "COLUMNS": "400"},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    def until(self, holds: Callable[[], Any], what: str) -> None:
        give_up_at = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < give_up_at, f"never happened: {what}\n{logs_of(self.home)}"
            time.sleep(0.05)

    def await_all_parts(self) -> None:
        """Until it says that the service is up, and every part runs, the engine too."""

        def complete() -> bool:
            commands = [_command(process) for process in processes_of(self.home)]
            return all(any(part in command for command in commands) for part in PARTS)

        self.until(self._is_up, "the service is up")
        self.until(complete, "every part runs")

    def end(self) -> tuple[int, str]:
        """Its exit code and what it said."""
        return self.process.wait(PATIENCE), self._said.read_text()

    def assert_nothing_left(self) -> None:
        give_up_at = time.monotonic() + GONE_SECONDS
        while (left := processes_of(self.home)) and time.monotonic() < give_up_at:
            time.sleep(0.05)
        assert [_command(process) for process in left] == []

    def clean_up(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        end_all(processes_of(self.home))

    def _is_up(self) -> bool:
        assert self.process.poll() is None, self.end()
        return "Ctrl-C stops it" in self._said.read_text()


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


Up = Callable[..., Launcher]


@pytest.fixture
def up(tmp_path: Path, model_folder: Path) -> Iterator[Up]:
    started: list[Launcher] = []

    def launch(home: Path = tmp_path / "home", port: int | None = None) -> Launcher:
        started.append(Launcher(home, model_folder, port or free_port()))
        return started[-1]

    yield launch
    for launcher in started:
        if launcher.home.is_relative_to(tmp_path):  # another's home has processes of its own
            launcher.clean_up()


class TestEnding:
    def test_a_killed_launcher_leaves_no_process(self, up: Up) -> None:
        launcher = up()
        launcher.await_all_parts()
        launcher.process.send_signal(signal.SIGKILL)
        launcher.end()
        launcher.assert_nothing_left()

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_stopped_launcher_ends_well_and_leaves_no_process(self, up: Up, number: signal.Signals) -> None:
        launcher = up()
        launcher.await_all_parts()
        launcher.process.send_signal(number)
        code, said = launcher.end()
        assert processes_of(launcher.home) == []
        assert code == 0, said
        assert "Stopping; accepted work goes on at the next start." in said
        assert "Traceback" not in said

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_one_stopped_while_it_starts_leaves_no_process(self, up: Up, number: signal.Signals) -> None:
        launcher = up()
        launcher.until(lambda: len(processes_of(launcher.home)) >= 3, "some parts run")
        launcher.process.send_signal(number)
        code, said = launcher.end()
        launcher.assert_nothing_left()
        assert code != 0
        assert "Traceback" not in said


class TestRefusing:
    def test_a_port_that_is_taken(self, up: Up) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            launcher = up(port=port)
            code, said = launcher.end()
        assert code == 6
        assert f"port {port}" in said
        assert "--port" in said
        assert "Traceback" not in said
        launcher.assert_nothing_left()

    def test_a_home_in_use(self, up: Up, stack: EmbeddedStack) -> None:
        before = {child.name: child.pid for child in stack.service.children}
        code, said = up(home=stack.home).end()
        assert code == 6
        assert str(stack.home) in said
        assert "set TILTSCOPE_HOME to another folder" in said
        assert "Traceback" not in said
        assert {child.name: child.pid for child in stack.service.children} == before
        assert stack.is_ready()


def test_accepted_work_goes_on_after_a_killed_launcher(up: Up, comparison: dict[str, Any]) -> None:
    launcher = up()
    launcher.await_all_parts()
    accepted = httpx.post(f"{launcher.url}/v1/analyses", json=comparison, timeout=PATIENCE)
    path = accepted.headers["location"]
    launcher.until(lambda: httpx.get(f"{launcher.url}{path}").json()["status"] == "running", "it runs")
    launcher.process.send_signal(signal.SIGKILL)
    launcher.end()
    launcher.assert_nothing_left()
    again = up()
    again.await_all_parts()
    again.until(lambda: httpx.get(f"{again.url}{path}").json()["finished_at"], "the analysis ends")
    assert httpx.get(f"{again.url}{path}").json()["status"] == "succeeded"


def test_workers_and_their_engines_stand_back_behind_the_gateway(stack: EmbeddedStack) -> None:
    niceness: dict[str, int] = {}

    def complete() -> bool:
        for process in processes_of(stack.home):
            for part in PARTS:
                if part in _command(process):
                    niceness[part] = process.nice() - os.nice(0)
        return set(niceness) == set(PARTS)

    stack.until(complete, "every part runs")
    back = {part for part, value in niceness.items() if value == WORKER_NICENESS}
    assert back == {"celery", "workers.host.main"}
    assert {niceness[part] for part in set(PARTS) - back} == {0}


def test_a_broker_that_is_nowhere(
    start_stack: Callable[..., EmbeddedStack], comparison: dict[str, Any]
) -> None:
    """Workers look into the ledger by themselves."""
    stack = start_stack(TILTSCOPE_REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    try:
        assert stack.get("/readyz")["checks"]["redis"] == "degraded"
        document = stack.succeeded(stack.submit(comparison))
        assert document["usage"]["samples"] > 0
    finally:
        stack.stop()
