"""Samples as text that can be paged through by whoever has no Arrow: gzip members and where each lies."""

import gzip
import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

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
    for start, end in _blocks(samples):
        rows = samples.slice(start, end - start)
        # Without a time stamp, so that equal samples make equal files.
        member = gzip.compress(_lines(rows).encode(), compresslevel=6, mtime=0)
        outcomes = Counter(rows["outcome"].to_pylist())
        del outcomes[None]
        blocks.append(
            {
                "side": rows["stream"][0].as_py(),
                "prompt_id": rows["prompt_id"][0].as_py(),
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


def _lines(rows: pa.Table) -> str:
    """The rows of a block as JSON Lines; what is said of a sample that comes again is encoded once."""
    head = ENCODER.encode({"prompt_id": rows["prompt_id"][0].as_py(), "side": rows["stream"][0].as_py()})[:-1]
    bodies = list(zip(*_columns(rows), strict=True))
    distinct = list(dict.fromkeys(bodies))
    texts = map(BODY.__mod__, zip(*map(_encoded, zip(*distinct, strict=True)), strict=True))
    said = dict(zip(distinct, texts, strict=True))
    numbers = rows["index"].to_pylist()
    return "".join([f'{head}, "index": {n}, {said[b]}' for n, b in zip(numbers, bodies, strict=True)])


def _columns(rows: pa.Table) -> Iterator[Sequence[object]]:
    """What the lines say of each sample, in the order of `BODY`."""
    yield from (rows[name].to_pylist() for name in SAID)
    yield pc.list_value_length(rows["token_ids"]).to_pylist()
    yield [None if row is None else math.fsum(row) for row in list_rows(rows["logprobs"])]


def _encoded(column: Sequence[object]) -> list[str]:
    """The JSON text of each value."""
    return COLUMN_ENCODER.encode(column)[1:-1].split("\n")
