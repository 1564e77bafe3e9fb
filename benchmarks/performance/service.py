"""The whole service, started for a benchmark: gateway, broker, reconciler and worker as real processes."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiltscope import Tiltscope, progress
from tiltscope.broker import free_port
from tiltscope.embedded import EmbeddedService, Layout
from tiltscope.requests import read_prompts

EXAMPLES = Path("examples")


@dataclass
class Service:
    """A running service and a client of it.

    Attributes:
        embedded: The processes.
        client: Talks to the gateway.
        home: Where ledger, artefacts and logs lie.
    """

    embedded: EmbeddedService
    client: Tiltscope
    home: Path

    def analyse(self, request: dict[str, Any], *, look: float = 0.05) -> str:
        """Submit an analysis and wait for its end.

        Args:
            request: Body of ``POST /v1/analyses``.
            look: Seconds between two looks.

        Returns:
            Its id.
        """
        analysis_id: str = self.client.analyses.submit(request).id
        while True:
            self.embedded.watch_once()
            analysis = self.client.analyses.get(analysis_id)
            if progress.state_of(analysis).has_ended:
                progress.require_result(analysis)
                return analysis_id
            time.sleep(look)

    def result(self, analysis_id: str) -> dict[str, Any]:
        """The result document."""
        found: dict[str, Any] = self.client.analyses.result(analysis_id).model_dump(mode="json")
        return found

    def rows(self, analysis_id: str) -> list[dict[str, Any]]:
        """The prompt rows."""
        return [row.model_dump(mode="json") for row in self.client.analyses.prompts(analysis_id)]


@contextmanager
def running(
    home: Path, *, models: Path = EXAMPLES / "models", workers: int = 1, **settings: str
) -> Iterator[Service]:
    """A service on a port of its own, ended with the block.

    Args:
        home: A folder for it.
        models: The folder that is scanned.
        workers: Worker processes.
        **settings: Environment variables; those that start with TILTSCOPE_ are otherwise not inherited.
    """
    before = {name: value for name, value in os.environ.items() if name.startswith("TILTSCOPE_")}
    for name in before:
        del os.environ[name]
    os.environ.update(settings)
    embedded = EmbeddedService(Layout(home, models.resolve(), port=free_port(), workers=workers))
    try:
        embedded.start()
        with Tiltscope(embedded.layout.url) as client:
            yield Service(embedded, client, home)
    finally:
        embedded.stop()
        for name in settings:
            os.environ.pop(name, None)
        os.environ.update(before)


def comparison(candidate: str, prompts: str, **changes: Any) -> dict[str, Any]:
    """A request that compares a shipped model with tiny-base on shipped prompts."""
    return {
        "kind": "capability",
        "reference": {"source": "model", "model": "tiny-base"},
        "candidate": {"source": "model", "model": candidate},
        "prompts": {"inline": read_prompts(EXAMPLES / "prompts" / f"{prompts}.jsonl")},
        "signal": {"kind": "exact"},
        **changes,
    }
