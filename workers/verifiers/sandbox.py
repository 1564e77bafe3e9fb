"""Running programs that a model wrote: bubblewrap, resource limits, no network, nothing of the host but /usr.

Refused where bubblewrap is missing or cannot make namespaces: resource limits alone are no sandbox.
"""

import contextlib
import json
import os
import secrets
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from workers.errors import AnalysisFault
from workers.verifiers import program_runner

NOBODY: Final = 65_534
"""Who programs run as where the worker is root: limits on processes do not bind root."""

PROCESSES: Final = 16
"""Of one program: enough for a pool of threads, too few for a fork bomb."""

DISK_BYTES: Final = 16 << 20
"""Of its only writable folder, which lies in memory."""

OUTPUT_BYTES: Final = 64 << 10
"""Of its answer; what a program prints goes nowhere."""

OPEN_FILES: Final = 64

WALL_FACTOR, WALL_SLACK_SECONDS = 4.0, 20.0
"""Wall clock for each second of CPU time, and to start: for programs that sleep, on a busy machine."""

READ_ONLY: Final = ("/usr", "/lib", "/lib64", "/bin")
"""Of the host: the interpreter and its libraries."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a program ended.

    Attributes:
        passed: Whether the program and every test ran to their end.
        detail: How it failed.
        is_program: False if the text is no Python.
        judged: False if the sandbox itself failed.
    """

    passed: bool
    detail: str = ""
    is_program: bool = True
    judged: bool = True


class Sandbox:
    """Runs one program at a time, each in namespaces of its own.

    Raises:
        AnalysisFault: no sandbox can be made on this machine.
    """

    def __init__(self) -> None:
        self._interpreter = _working_interpreter()

    def run(self, program: str, tests: str, *, seconds: float, memory_bytes: int) -> Ending:
        """Run a program and its tests.

        Args:
            program: Python.
            tests: Python that raises unless the program is right; sees the program's names.
            seconds: CPU time.
            memory_bytes: Address space of each process.
        """
        nonce = secrets.token_hex(16)
        limits = {
            "RLIMIT_CPU": max(1, round(seconds)),
            "RLIMIT_AS": memory_bytes,
            "RLIMIT_NPROC": PROCESSES,
            "RLIMIT_FSIZE": DISK_BYTES,
            "RLIMIT_NOFILE": OPEN_FILES,
            "RLIMIT_CORE": 0,
        }
        request = {"program": program, "tests": tests, "nonce": nonce, "limits": limits}
        wall = WALL_FACTOR * seconds + WALL_SLACK_SECONDS
        lines, late = _talk(self._interpreter, json.dumps(request).encode(), wall)
        if not lines or lines[0] != {"started": True}:
            return Ending(False, "the sandbox did not start", judged=False)
        if late:
            return Ending(False, f"not finished within {wall:.0f} s")
        if len(lines) < 2:
            return Ending(False, f"ended early: by itself, or by its {seconds:g} s of CPU time or its memory")
        answer = lines[1]
        if "syntax" in answer:
            return Ending(False, "the text is no Python program", is_program=False)
        if answer.get("passed") == nonce:
            return Ending(True)
        return Ending(False, str(answer.get("failed", "the answer was tampered with"))[:200])


def _working_interpreter() -> str:
    """The first Python that runs inside.

    Raises:
        AnalysisFault: none does.
    """
    if shutil.which("bwrap") is None:
        raise AnalysisFault(
            "sandbox_unavailable",
            "the signal `python` runs programs in bubblewrap, and this worker has none: install the package "
            "bubblewrap, or judge by another signal",
            "/signal/kind",
        )
    candidates = [os.path.realpath(sys.executable), "/usr/bin/python3", "/usr/local/bin/python3"]
    probe = json.dumps({"program": "", "tests": "", "nonce": "ok", "limits": {}}).encode()
    for interpreter in candidates:
        if os.access(interpreter, os.X_OK):
            lines, _ = _talk(interpreter, probe, WALL_SLACK_SECONDS)
            if lines[1:] == [{"passed": "ok"}]:
                return interpreter
    raise AnalysisFault(
        "sandbox_unavailable",
        "bubblewrap cannot make a sandbox on this worker: unprivileged user namespaces may be switched off "
        "(sysctl kernel.unprivileged_userns_clone or kernel.apparmor_restrict_unprivileged_userns), or no "
        "Python lies where everybody may read it",
        "/signal/kind",
    )


def _command(interpreter: str) -> list[str]:
    prefix = str(Path(interpreter).parent.parent)
    folders = [folder for folder in READ_ONLY if Path(folder).exists()]
    if not any(prefix == folder or prefix.startswith(f"{folder}/") for folder in folders):
        folders.append(prefix)
    options: Sequence[str] = [
        "--unshare-all", "--unshare-user", "--disable-userns", "--uid", str(NOBODY), "--gid", str(NOBODY),
        "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv", "--hostname", "sandbox",
        *(part for folder in folders for part in ("--ro-bind", folder, folder)),
        "--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev",
        "--size", str(DISK_BYTES), "--tmpfs", "/tmp", "--remount-ro", "/", "--chdir", "/tmp",
        "--setenv", "PATH", "/usr/bin", "--setenv", "LANG", "C.UTF-8",
    ]  # fmt: skip
    return ["bwrap", *options, interpreter, "-I", "-B", "-c", _runner()]


@cache
def _runner() -> str:
    return Path(program_runner.__file__).read_text()


def _talk(interpreter: str, request: bytes, seconds: float) -> tuple[list[dict[str, Any]], bool]:
    """The lines that the runner answered, and whether it had to be stopped for its time."""
    as_nobody: dict[str, Any] = {}
    if os.geteuid() == 0:
        as_nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    process = subprocess.Popen(
        _command(interpreter),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.environ.get("PATH", "/usr/bin:/bin")},
        cwd="/",
        **as_nobody,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    deadline, output, late = time.monotonic() + seconds, b"", False
    with process.stdin, process.stdout:
        with contextlib.suppress(OSError):
            process.stdin.write(request)
            process.stdin.close()
        while len(output) < OUTPUT_BYTES:
            left = max(0.0, deadline - time.monotonic())
            late = not select.select([process.stdout], [], [], left)[0]
            data = b"" if late else os.read(process.stdout.fileno(), OUTPUT_BYTES)
            if not data:
                break
            output += data
        # Killing bubblewrap ends the namespace, and with it every process the program started.
        process.kill()
        process.wait()
    return _lines(output), late


def _lines(output: bytes) -> list[dict[str, Any]]:
    lines = []
    for line in output.splitlines():
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError):
            break
        if not isinstance(answer, dict):
            break
        lines.append(answer)
    return lines
