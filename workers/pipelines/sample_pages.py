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
        lines = b"".join(_line(row) for row in rows)
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
    for start in range(0, samples.num_rows, BATCH_ROWS):
        batch = samples.slice(start, BATCH_ROWS)
        plain = batch.drop_columns(["token_ids", "logprobs"]).to_pylist()
        rows = zip(plain, list_rows(batch["token_ids"]), list_rows(batch["logprobs"]), strict=True)
        for row, ids, logprobs in rows:
            yield _row(row, ids, logprobs)


def _line(row: Json) -> bytes:
    return ENCODER.encode(row).encode() + b"\n"


def _row(row: Mapping[str, Any], ids: list[int] | None, logprobs: list[float] | None) -> Json:
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
        "tokens": None if ids is None else len(ids),
        "logprob": None if logprobs is None else math.fsum(logprobs),
    }
