"""Outcomes on disk, a file each: one benchmark can be run again alone."""

import json
from pathlib import Path

from benchmarks.performance.outcome import Outcome


class Store:
    """Outcomes in a folder.

    Args:
        folder: Where they are kept; made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, name: str, outcome: Outcome) -> None:
        """Keep an outcome; the file appears whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / f"{name}.partial"
        partial.write_text(json.dumps(outcome.to_json(), indent=1, ensure_ascii=False) + "\n", "utf-8")
        partial.replace(self.folder / f"{name}.json")

    def read(self, name: str) -> Outcome | None:
        """An outcome; None if the benchmark was not run."""
        path = self.folder / f"{name}.json"
        return Outcome.from_json(json.loads(path.read_text("utf-8"))) if path.exists() else None
