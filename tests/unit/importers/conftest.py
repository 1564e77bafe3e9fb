"""Reading logs the way a worker does."""

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workers.importers.collection import Collection, collect
from workers.importers.formats import READERS
from workers.importers.record import LogNotes

LOGS = Path(__file__).parent / "logs"


class Read:
    """A log that was read."""

    def __init__(self, form: str, content: bytes, filter: str | None = None) -> None:
        self.notes = LogNotes()
        told: list[int] = []
        self.found: Collection = collect(
            READERS[form](io.BytesIO(content), self.notes, filter=filter), self.notes, told.append
        )
        self.summary = self.found.summary(self.notes)
        self.rows: list[dict[str, Any]] = pq.read_table(pa.BufferReader(self.found.samples)).to_pylist()

    def texts(self, prompt: int = 0) -> list[str]:
        return [row["text"] for row in self.rows if row["prompt"] == prompt]


@pytest.fixture
def logs() -> Path:
    return LOGS


@pytest.fixture
def read() -> type[Read]:
    return Read
