"""Samples as text that can be paged through by whoever has no Arrow: gzip members and where each lies."""

import gzip
import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workers.pipelines.document import Json
from workers.pipelines.tables import list_rows

BLOCK_ROWS: Final = 256
"""Samples of a block at most: what is read for one sample of a page; each costs 200 bytes of index."""

BLOCK_CHARACTERS: Final = 1 << 20
"""Characters of a block's texts, unless one sample has more: a page of long answers stays within memory."""

BODY: Final = (
    '"text": %s, "finish_reason": %s, "outcome": %s, "reward": %s, "behaviour": %s, "detail": %s, '
    '"tokens": %s, "logprob": %s}\n'
)
"""What a line says of a sample, whichever it is."""

SAID: Final = ("text", "finish_reason", "outcome", "reward", "behaviour", "detail")
"""Columns of the table that a line repeats; it counts the tokens and adds up their log-probabilities."""

BATCH_ROWS: Final = 4_096
"""Rows turned into Python values at once."""

ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False)

COLUMN_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=("\n", ": "))
"""Of a column: within a value JSON has no line break, so that the values can be told apart again."""


@dataclass(frozen=True, slots=True)
class SamplePages:
    """Samples in blocks of one side and prompt.

    Attributes:
        data: JSON Lines, each block compressed on its own; the whole is an ordinary `.jsonl.gz` file.
        index: `blocks`: for each, `side`, `prompt_id`, `rows`, `outcomes` (rows of each), and `offset`,
            `bytes` and `sha256` of its place in `data`.
    """

    data: bytes
    index: Json


def sample_pages(samples: pa.Table) -> SamplePages:
    """Write judged samples as pages.

    Args:
        samples: Rows of `SAMPLES` with `outcome`, `reward`, `behaviour` and `detail`, sorted by stream,
            prompt and sample.
    """
    blocks: list[Json] = []
    parts: list[bytes] = []
    offset = 0
    rows = _Rows(samples)
    for start, end in _blocks(samples):
        sides, prompts, numbers, *said = rows.columns(start, end)
        # Without a time stamp, so that equal samples make equal files.
        lines = _lines(prompts[0], sides[0], numbers, said)
        member = gzip.compress(lines.encode(), compresslevel=6, mtime=0)
        outcomes = Counter(said[SAID.index("outcome")])
        del outcomes[None]
        blocks.append(
            {
                "side": sides[0],
                "prompt_id": prompts[0],
                "rows": end - start,
                "outcomes": dict(outcomes),
                "offset": offset,
                "bytes": len(member),
                "sha256": hashlib.sha256(member).hexdigest(),
            }
        )
        parts.append(member)
        offset += len(member)
    return SamplePages(b"".join(parts), {"blocks": blocks})


def _blocks(samples: pa.Table) -> Iterator[tuple[int, int]]:
    """First row of each block and the row after its last."""
    characters = np.zeros(samples.num_rows + 1, dtype=np.int64)
    np.cumsum(pc.utf8_length(samples["text"]).to_numpy(), out=characters[1:])
    start = 0
    for end in _ends(samples):
        while start < end:
            # The row at which the texts before it fill the block; a longer text is a block of its own.
            full = int(np.searchsorted(characters, characters[start] + BLOCK_CHARACTERS, side="right")) - 1
            after = min(end, start + BLOCK_ROWS, max(full, start + 1))
            yield start, after
            start = after


def _ends(samples: pa.Table) -> list[int]:
    """The row after the last of each side and prompt, in order."""
    if not samples.num_rows:
        return []
    numbers = [_numbers(samples[name]) for name in ("stream", "prompt_id")]
    changes = np.any([np.diff(each) != 0 for each in numbers], axis=0)
    return [*(np.flatnonzero(changes) + 1).tolist(), samples.num_rows]


def _numbers(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """A number for each value, equal where the values are."""
    encoded = pc.dictionary_encode(column).combine_chunks()
    return np.asarray(encoded.indices.to_numpy(), dtype=np.int64)


class _Rows:
    """Rows of a table as Python values, which are made of many rows at once."""

    def __init__(self, samples: pa.Table) -> None:
        self._samples = samples
        self._start = self._end = 0
        self._columns: list[Sequence[Any]] = []

    def columns(self, start: int, end: int) -> list[Sequence[Any]]:
        """Side, prompt, number of each of these rows, then what lines say of it, in the order of `BODY`.

        Args:
            start: The first row, not before any that was asked for earlier.
            end: The row after the last.
        """
        if end > self._end:
            self._start, self._end = start, max(end, start + BATCH_ROWS)
            batch = self._samples.slice(start, self._end - start)
            self._columns = [batch[name].to_pylist() for name in ("stream", "prompt_id", "index", *SAID)]
            self._columns.append(pc.list_value_length(batch["token_ids"]).to_pylist())
            logprobs = list_rows(batch["logprobs"])
            self._columns.append([None if row is None else math.fsum(row) for row in logprobs])
        return [column[start - self._start : end - self._start] for column in self._columns]


def _lines(prompt_id: str, side: str, numbers: Sequence[int], said: Sequence[Sequence[Any]]) -> str:
    """The rows of a block as JSON Lines; what is said of a sample that comes again is encoded once."""
    head = ENCODER.encode({"prompt_id": prompt_id, "side": side})[:-1]
    bodies = list(zip(*said, strict=True))
    distinct = list(dict.fromkeys(bodies))
    texts = map(BODY.__mod__, zip(*map(_encoded, zip(*distinct, strict=True)), strict=True))
    made = dict(zip(distinct, texts, strict=True))
    return "".join([f'{head}, "index": {n}, {made[b]}' for n, b in zip(numbers, bodies, strict=True)])


def _encoded(column: Sequence[object]) -> list[str]:
    """The JSON text of each value."""
    return COLUMN_ENCODER.encode(column)[1:-1].split("\n")
