"""Stored prompt rows: only those that are asked for are read."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Protocol

from service.analyses.outcomes import open_outcomes
from service.analyses.results import PROMPTS, PROMPTS_INDEX
from service.resources import Resources
from service.stored_files import StoredFile, checked, unreadable

Row = dict[str, Any]
Columns = Mapping[str, Sequence[Any]]

REMEMBERED_INDEXES: Final = 8
"""Parsed indexes kept: a client pages through one list for minutes, and ten thousand rows take megabytes."""


class PromptRows(Protocol):
    """The rows of one result."""

    @property
    def sha256(self) -> str:
        """Hash that names this version of the rows."""

    def __len__(self) -> int:
        """How many there are."""

    def column(self, name: str) -> Sequence[Any]:
        """`checkpoint`, `regime`, `gain` or `price` of every row; None where it has none.

        A gain or price known only from below is its bound.
        """

    def read(self, places: Iterable[int]) -> Iterator[Row]:
        """Rows by their number.

        Raises:
            ArtifactUnreadable: a row is not what was stored.
        """


def open_prompt_rows(resources: Resources, analysis_id: str) -> PromptRows:
    """The prompt rows of an analysis.

    Raises:
        NotFound: there is no such analysis.
        Conflict: it has no result, yet or for good.
        ArtifactUnreadable: what is stored is not what was stored.
    """
    stored, *index = open_outcomes(resources, analysis_id, PROMPTS, beside=PROMPTS_INDEX)
    if not index:
        return WholeRows(stored.sha256, json.loads(checked(stored).path.read_bytes()))
    checked(index[0])
    return IndexedRows(stored, _index(index[0].path, index[0].sha256))


@dataclass(frozen=True, slots=True)
class IndexedRows:
    """Rows of which the index says where each lies; each is checked when it is read."""

    stored: StoredFile
    index: Columns

    @property
    def sha256(self) -> str:
        """Hash that names this version of the rows."""
        return self.stored.sha256

    def __len__(self) -> int:
        """How many there are."""
        return len(self.index["offset"])

    def column(self, name: str) -> Sequence[Any]:
        """As the index has it."""
        return self.index[name]

    def read(self, places: Iterable[int]) -> Iterator[Row]:
        """Rows by their number, one in memory at a time."""
        offsets, sizes, hashes = (self.index[name] for name in ("offset", "bytes", "sha256"))
        try:
            file = self.stored.path.open("rb")
        except FileNotFoundError as error:
            raise unreadable("is gone") from error
        with file:
            for place in places:
                file.seek(offsets[place])
                text = file.read(sizes[place])
                if hashlib.sha256(text).hexdigest() != hashes[place]:
                    raise unreadable("was altered after it was stored")
                yield json.loads(text)


@dataclass(frozen=True, slots=True)
class WholeRows:
    """Rows of a result that was stored without an index: all of them in memory."""

    sha256: str
    rows: Sequence[Row]

    def __len__(self) -> int:
        """How many there are."""
        return len(self.rows)

    def column(self, name: str) -> Sequence[Any]:
        """From the rows themselves."""
        if name in ("checkpoint", "regime"):
            return [row.get(name) for row in self.rows]
        return [_least(row.get("gain") if name == "gain" else row["reference"]["price"]) for row in self.rows]

    def read(self, places: Iterable[int]) -> Iterator[Row]:
        """Rows by their number."""
        return (self.rows[place] for place in places)


@lru_cache(maxsize=REMEMBERED_INDEXES)
def _index(path: Path, _sha256: str) -> Columns:
    index: Columns = json.loads(path.read_bytes())
    return index


def _least(estimate: Mapping[str, Any] | None) -> float | None:
    if estimate is None:
        return None
    value: float | None = estimate["value"] if estimate["value"] is not None else estimate["ci_low"]
    return value
