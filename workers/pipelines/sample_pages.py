"""Samples as text that can be paged through by whoever has no Arrow: gzip members and where each lies."""

import gzip
import hashlib
import itertools
import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from workers.pipelines.document import Json
from workers.pipelines.tables import list_rows

BLOCK_ROWS: Final = 256
"""Samples of a block at most: what is read for one sample of a page; each costs 200 bytes of index."""

BLOCK_CHARACTERS: Final = 1 << 20
"""Characters of a block's texts, unless one sample has more: a page of long answers stays within memory."""

BATCH_ROWS: Final = 4_096
"""Rows turned into Python values at once."""


ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
"""One for all rows: `json.dumps` would make one for each."""


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
    for rows in _blocks(samples):
        # Without a time stamp, so that equal samples make equal files.
        member = gzip.compress(_lines(rows).encode(), compresslevel=6, mtime=0)
        blocks.append(
            {
                "side": rows[0].side,
                "prompt_id": rows[0].prompt_id,
                "rows": len(rows),
                "outcomes": dict(Counter(row.body.outcome for row in rows if row.body.outcome is not None)),
                "offset": offset,
                "bytes": len(member),
                "sha256": hashlib.sha256(member).hexdigest(),
            }
        )
        parts.append(member)
        offset += len(member)
    return SamplePages(b"".join(parts), {"blocks": blocks})


class _Body(NamedTuple):
    """What a line says of a sample, whichever it is."""

    text: str
    finish_reason: str
    outcome: str | None
    reward: float | None
    behaviour: str | None
    detail: str | None
    tokens: int | None
    logprob: float | None


class _Row(NamedTuple):
    side: str
    prompt_id: str
    number: int
    body: _Body


def _blocks(samples: pa.Table) -> Iterator[list[_Row]]:
    for _, group in itertools.groupby(_rows(samples), key=itemgetter(0, 1)):
        block: list[_Row] = []
        characters = 0
        for row in group:
            length = len(row.body.text)
            if block and (len(block) == BLOCK_ROWS or characters + length > BLOCK_CHARACTERS):
                yield block
                block, characters = [], 0
            block.append(row)
            characters += length
        yield block


def _rows(samples: pa.Table) -> Iterator[_Row]:
    for start in range(0, samples.num_rows, BATCH_ROWS):
        batch = samples.slice(start, BATCH_ROWS)
        tokens = pc.list_value_length(batch["token_ids"]).to_pylist()
        logprobs = [None if row is None else math.fsum(row) for row in list_rows(batch["logprobs"])]
        said = (batch[name].to_pylist() for name in _Body._fields[:-2])
        bodies = map(_Body, *said, tokens, logprobs)
        yield from map(_Row, *(batch[name].to_pylist() for name in ("stream", "prompt_id", "index")), bodies)


def _lines(rows: Sequence[_Row]) -> str:
    """The rows of a block as JSON Lines; what is said of a sample that comes again is encoded once."""
    head = ENCODER.encode({"prompt_id": rows[0].prompt_id, "side": rows[0].side})[:-1]
    said = {body: ENCODER.encode(body._asdict())[1:] for body in {row.body for row in rows}}
    return "".join([f'{head}, "index": {row.number}, {said[row.body]}\n' for row in rows])
