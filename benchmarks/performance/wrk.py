"""`wrk`, which sends requests as fast as they are answered, or with pauses."""

import json
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.performance.session import CheckFailed

SCRIPT = Path(__file__).with_name("requests.lua")


@dataclass(frozen=True, slots=True)
class Load:
    """How a burst of requests went.

    Attributes:
        requests: Answered.
        seconds: It took.
        p50_ms: Median time to the answer, milliseconds.
        p99_ms: The same, 99th percentile.
        failed: Requests without an answer, and answers of status 400 and above.
    """

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    failed: int


def send(url: str, *, seconds: int, connections: int, pause_ms: int = 0, body: Path | None = None) -> Load:
    """Send requests over connections that stay open, from one thread.

    Args:
        url: Where to.
        seconds: For how long.
        connections: Each sends its next request when it has the answer.
        pause_ms: Mean pause before each request.
        body: File of a JSON body to POST, in which the word SEED becomes a new number each time, under a new
            idempotency key; without one it is a GET.

    Raises:
        CheckFailed: There is no wrk, or a request failed.
    """
    if shutil.which("wrk") is None:
        raise CheckFailed("wrk is not installed: apt-get install wrk")
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(SCRIPT), url]
    told = [str(pause_ms), secrets.token_hex(4), *([] if body is None else [str(body)])]
    found = subprocess.run([*command, "--", *told], capture_output=True, text=True, check=False)
    if found.returncode != 0:
        raise CheckFailed(f"wrk: {found.stderr or found.stdout}")
    load = Load(**json.loads(found.stdout.splitlines()[-1]))
    if load.failed or not load.requests:
        raise CheckFailed(f"{url}: {load.failed} of {load.requests} requests failed")
    return load
