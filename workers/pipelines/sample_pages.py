"""Samples as text that can be paged through by whoever has no Arrow: gzip members and where each lies."""

import gzip
import hashlib
import itertools
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from workers.pipelines.document import Json

BLOCK_ROWS: Final = 256
"""Samples of a block at most: what is read for one sample of a page; each costs 200 bytes of index."""

BLOCK_CHARACTERS: Final = 1 << 20
"""Characters of a block's texts, unless one sample has more: a page of long answers stays within memory."""

BATCH_ROWS: Final = 4_096
"""Rows turned into Python values at once."""


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
        lines = b"".join(
            json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n" for row in rows
        )
        # Without a time stamp, so that equal samples make equal files.
        member = gzip.compress(lines, compresslevel=6, mtime=0)
        blocks.append(
            {
                "side": rows[0]["side"],
                "prompt_id": rows[0]["prompt_id"],
                "rows": len(rows),
                "outcomes": dict(Counter(row["outcome"] for row in rows if row["outcome"] is not None)),
                "offset": offset,
                "bytes": len(member),
                "sha256": hashlib.sha256(member).hexdigest(),
            }
        )
        parts.append(member)
        offset += len(member)
    return SamplePages(b"".join(parts), {"blocks": blocks})


def _blocks(samples: pa.Table) -> Iterator[list[Json]]:
    for _, group in itertools.groupby(_rows(samples), key=lambda row: (row["side"], row["prompt_id"])):
        block: list[Json] = []
        characters = 0
        for row in group:
            if block and (len(block) == BLOCK_ROWS or characters + len(row["text"]) > BLOCK_CHARACTERS):
                yield block
                block, characters = [], 0
            block.append(row)
            characters += len(row["text"])
        yield block


def _rows(samples: pa.Table) -> Iterator[Json]:
    for batch in samples.to_batches(max_chunksize=BATCH_ROWS):
        for row in batch.to_pylist():
            yield _row(row)


def _line(row: Json) -> bytes:
    return json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _row(row: Mapping[str, Any]) -> Json:
    return {
        "prompt_id": row["prompt_id"],
        "side": row["stream"],
        "index": row["index"],
        "text": row["text"],
        "finish_reason": row["finish_reason"],
        "outcome": row["outcome"],
        "reward": row["reward"],
        "behaviour": row["behaviour"],
        "detail": row["detail"],
        "tokens": None if row["token_ids"] is None else len(row["token_ids"]),
        "logprob": None if row["logprobs"] is None else math.fsum(row["logprobs"]),
    }
