"""Replicates on disk, a file for each chunk: a study that is stopped goes on where it was."""

import json
from pathlib import Path

from benchmarks.calibration.experiment import SEED, Experiment, Row, Size


class Store:
    """Chunks of replicates in a folder.

    Args:
        folder: Where they are kept; made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def missing(self, experiment: Experiment, size: Size) -> list[tuple[str, int, int]]:
        """Chunks that are still to be run: cell, first replicate, count; cells in turn."""
        chunks = [
            (cell, first, count)
            for cell in experiment.cells
            for first, count in _chunks(experiment, size, cell)
            if not self._path(experiment, cell, first, count).exists()
        ]
        return sorted(chunks, key=lambda chunk: chunk[1])

    def save(self, experiment: Experiment, cell: str, first: int, rows: list[Row]) -> None:
        """Keep a chunk; the file appears whole or not at all."""
        path = self._path(experiment, cell, first, len(rows))
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(rows), encoding="utf-8")
        partial.replace(path)

    def rows(self, experiment: Experiment, size: Size) -> dict[str, list[Row]]:
        """Every replicate of a study of some size, by cell, in order."""
        found: dict[str, list[Row]] = {}
        for cell in experiment.cells:
            for first, count in _chunks(experiment, size, cell):
                path = self._path(experiment, cell, first, count)
                if path.exists():
                    found.setdefault(cell, []).extend(json.loads(path.read_text(encoding="utf-8")))
        return found

    def _path(self, experiment: Experiment, cell: str, first: int, count: int) -> Path:
        number = list(experiment.cells).index(cell)
        return self.folder / f"{SEED}" / experiment.name / f"{number:02d}-{first:05d}-{count}.json"


def _chunks(experiment: Experiment, size: Size, cell: str) -> list[tuple[int, int]]:
    total, chunk = experiment.size(size, cell), experiment.chunk
    return [(first, min(chunk, total - first)) for first in range(0, total, chunk)]
