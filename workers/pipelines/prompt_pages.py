"""Prompt rows as a file that is read a row at a time: where each lies, and what lists are sorted by."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from workers.pipelines.document import Json, indented_json


@dataclass(frozen=True, slots=True)
class PromptPages:
    """The rows and their index.

    Attributes:
        data: A JSON array of all rows.
        index: Columns with an entry a row: `offset`, `bytes` and `sha256` of its place in `data`; its
            `checkpoint`, `regime`, `gain` and `price`. A gain or price known only from below is its bound;
            what a row lacks is None.
    """

    data: bytes
    index: Json


def prompt_pages(rows: Sequence[Json]) -> PromptPages:
    """Write prompt rows, in order."""
    texts = [indented_json(row).replace(b"\n", b"\n ") for row in rows]
    # What `indented_json` makes of the list itself, so that a row's bytes stand there as they are hashed.
    data = b"[\n " + b",\n ".join(texts) + b"\n]" if texts else b"[]"
    offsets, offset = [], len(b"[\n ")
    for text in texts:
        offsets.append(offset)
        offset += len(text) + len(b",\n ")
    return PromptPages(
        data,
        {
            "offset": offsets,
            "bytes": [len(text) for text in texts],
            "sha256": [hashlib.sha256(text).hexdigest() for text in texts],
            "checkpoint": [row.get("checkpoint") for row in rows],
            "regime": [row.get("regime") for row in rows],
            "gain": [_least(row.get("gain")) for row in rows],
            "price": [_least(row["reference"]["price"]) for row in rows],
        },
    )


def _least(estimate: Json | None) -> Any:
    if estimate is None:
        return None
    return estimate["ci_low"] if estimate["value"] is None else estimate["value"]
