"""The embedded service under test: every part a real process, on a home and a port of its own."""

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from redis import Redis
from sqlalchemy import Row, select

from ledger.database import connect, read
from ledger.tables import attempts, shards
from tiltscope.broker import free_port
from tiltscope.embedded import EmbeddedService, Layout

PATIENCE = 120.0
"""Seconds after which something never happens: far above anything here, on a machine with other work too."""

LIVE = {"queued", "running", "cancelling"}
QUICK = {"TILTSCOPE_RENEW_SECONDS": "0.03", "TILTSCOPE_POLL_SECONDS": "0.5", "TILTSCOPE_SCAN_SECONDS": "0.5"}
"""Renewals carry progress, and a shard of the tests' models is over in a tenth of a second."""


@dataclass(frozen=True)
class Findings:
    """What an analysis left behind: the result document, the prompt rows, the samples."""

    document: dict[str, Any]
    rows: list[dict[str, Any]]
    samples: pa.Table


class EmbeddedStack:
    """A running `EmbeddedService` and questions to it.

    Use it from one thread: the kernel ends the children with the thread that started them.

    Args:
        home: Its folder, made if need be.
        models: The scanned folder.
        workers: Worker processes.
        **settings: Further environment variables; none is inherited that starts with TILTSCOPE_.
    """

    def __init__(self, home: Path, models: Path, *, workers: int = 1, **settings: str) -> None:
        self.home = home
        self.service = EmbeddedService(Layout(home, models, port=free_port(), workers=workers))
        with pytest.MonkeyPatch.context() as patch:
            for name in [name for name in os.environ if name.startswith("TILTSCOPE_")]:
                patch.delenv(name)
            for name, value in {**QUICK, **settings}.items():
                patch.setenv(name, value)
            self.service.start()
        self.ledger = connect(
            settings.get("TILTSCOPE_DATABASE_URL") or f"sqlite:///{home / 'ledger.sqlite3'}"
        )
        self.client = httpx.Client(base_url=self.service.layout.url, timeout=PATIENCE)

    def stop(self) -> None:
        """End it, and fail if anything of it still lives."""
        self.client.close()
        self.ledger.dispose()
        self.service.stop()
        left = processes_of(self.home)
        end_all(left)
        assert left == []

    def until(self, holds: Callable[[], Any], what: str) -> Any:
        """Wait, reviving what died, until something holds."""
        give_up_at = time.monotonic() + PATIENCE
        while time.monotonic() < give_up_at:
            if found := holds():
                return found
            self.service.watch_once()
            time.sleep(0.02)
        raise AssertionError(f"never happened: {what}\n{self.logs()}")

    def is_ready(self) -> bool:
        try:
            return self.client.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    # --- over HTTP

    def submit(self, body: dict[str, Any]) -> str:
        answer = self.client.post("/v1/analyses", json=body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def get(self, path: str, **params: Any) -> Any:
        answer = self.client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def analysis(self, analysis_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/v1/analyses/{analysis_id}")
        return found

    def ended(self, analysis_id: str) -> dict[str, Any]:
        """The analysis object once it is terminal."""
        self.until(lambda: self.analysis(analysis_id)["status"] not in LIVE, f"{analysis_id} ends")
        return self.analysis(analysis_id)

    def succeeded(self, analysis_id: str) -> dict[str, Any]:
        """The result document."""
        ended = self.ended(analysis_id)
        assert ended["status"] == "succeeded", (ended["error"], self.logs())
        return self.result(analysis_id)

    def result(self, analysis_id: str) -> dict[str, Any]:
        document: dict[str, Any] = self.get(f"/v1/analyses/{analysis_id}/result")
        return document

    def findings(self, analysis_id: str) -> Findings:
        """Everything, once it has succeeded."""
        document = self.succeeded(analysis_id)
        return Findings(document, self.rows(analysis_id), self.table(analysis_id, "samples.parquet"))

    def rows(self, analysis_id: str) -> list[dict[str, Any]]:
        """Every prompt row, through the cursor."""
        found: list[dict[str, Any]] = []
        params: dict[str, Any] = {"limit": 5}
        while True:
            page = self.get(f"/v1/analyses/{analysis_id}/prompts", **params)
            found += page["data"]
            if not page["has_more"]:
                return found
            params["after"] = page["next_cursor"]

    def table(self, analysis_id: str, name: str) -> pa.Table:
        """A Parquet artefact."""
        answer = self.client.get(f"/v1/analyses/{analysis_id}/artifacts/{name}")
        assert answer.status_code == 200, answer.text
        return pq.read_table(BytesIO(answer.content))

    # --- in the ledger

    def shards(self, analysis_id: str, **where: Any) -> list[Row[Any]]:
        query = select(shards).where(shards.c.analysis_id == analysis_id)
        for name, value in where.items():
            query = query.where(shards.c[name] == value)
        with read(self.ledger) as conn:
            return list(conn.execute(query.order_by(shards.c.round, shards.c.idx)))

    def running(self, analysis_id: str, work: str, progress: int = 0) -> Row[Any] | None:
        """A shard under way that has reported that many rows."""
        held = self.shards(analysis_id, state="RUNNING", work=work)
        return next((shard for shard in held if shard.progress >= progress), None)

    def attempts(self, analysis_id: str) -> list[Row[Any]]:
        """Every claim of the analysis's shards, in order."""
        query = select(attempts).join(shards).where(shards.c.analysis_id == analysis_id)
        with read(self.ledger) as conn:
            return list(conn.execute(query.order_by(attempts.c.started_at)))

    # --- on the machine

    def part(self, name: str) -> psutil.Process:
        """The process of a part."""
        return psutil.Process(self.until(lambda: self.service.child(name).pid, f"{name} runs"))

    def engine(self, worker: str = "worker-1") -> psutil.Process:
        """The engine host of a worker that draws and scores."""

        def find() -> psutil.Process | None:
            hosts = [p for p in self.part(worker).children() if "workers.host.main" in p.cmdline()]
            return next((host for host in hosts if "sample" in host.environ()["TILTSCOPE_WORKS"]), None)

        found: psutil.Process = self.until(find, f"{worker} has an engine")
        return found

    def broker(self) -> Redis:
        """A client of the private broker, which must be closed."""
        config = (self.home / "broker.conf").read_text()
        port = re.search(r"^port (\d+)$", config, re.MULTILINE)
        password = re.search(r"^requirepass (\S+)$", config, re.MULTILINE)
        assert port is not None
        assert password is not None
        return Redis(port=int(port[1]), password=password[1])

    def logs(self) -> str:
        return logs_of(self.home)


def logs_of(home: Path) -> str:
    """The ends of the parts' logs, for a failure's message."""
    parts = sorted((home / "logs").glob("*.log"))
    return "\n".join(f"--- {log.name}\n{log.read_text(errors='replace')[-3000:]}" for log in parts)


def processes_of(home: Path) -> list[psutil.Process]:
    """Live processes that were started for a home, whoever their parent is now."""
    found = []
    for process in psutil.process_iter():
        try:
            # redis-server writes its title over its environment, but stands in the home.
            ours = process.environ().get("TILTSCOPE_HOME") == str(home) or process.cwd() == str(home)
            if ours and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
            continue
    return found


def end_all(processes: list[psutil.Process]) -> None:
    """Kill what a failed test would leave behind."""
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
