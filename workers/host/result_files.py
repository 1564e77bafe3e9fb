"""The files that a finished analysis leaves."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from workers.pipelines.committed import Committed
from workers.pipelines.document import indented_json
from workers.pipelines.prompt_pages import prompt_pages
from workers.pipelines.sample_pages import sample_pages
from workers.pipelines.tables import OUTCOMES, to_parquet
from workers.pipelines.verify import JUDGED

PARQUET: Final = "application/vnd.apache.parquet"
JSON: Final = "application/json"

KEY: Final = ("stream", "prompt_index", "index")
"""Columns that name a sample; in this order the committed tables are sorted."""

Row = dict[str, Any]


def result_files(
    document: Row, rows: Sequence[Row], committed: Committed, report: str | None
) -> dict[str, tuple[bytes, str]]:
    """Bytes and media type of each file, by name.

    Args:
        document: The result document.
        rows: The prompt rows.
        committed: What the analysis drew and judged.
        report: The HTML report; None if it could not be drawn.
    """
    samples = _judged_samples(committed)
    pages, listed = sample_pages(samples), prompt_pages(rows)
    return {
        "result.json": (indented_json(document), JSON),
        "prompts.json": (listed.data, JSON),
        "prompts.index.json": (_compact(listed.index), JSON),
        "prompts.parquet": (to_parquet(pa.Table.from_pylist(_flat(rows)), trying=False), PARQUET),
        "samples.parquet": (to_parquet(samples), PARQUET),
        "samples.jsonl.gz": (pages.data, "application/gzip"),
        "samples.index.json": (_compact(pages.index), JSON),
        **({} if report is None else {"report.html": (report.encode(), "text/html; charset=utf-8")}),
    }


def _compact(value: object) -> bytes:
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def _flat(rows: Sequence[Row]) -> list[Row]:
    """Rows for a table: an estimate becomes columns, a list becomes JSON text."""
    return [dict(_columns("", row)) for row in rows]


def _columns(prefix: str, value: Mapping[str, Any]) -> list[tuple[str, Any]]:
    columns: list[tuple[str, Any]] = []
    for name, item in value.items():
        if isinstance(item, Mapping):
            columns += _columns(f"{prefix}{name}.", item)
        elif isinstance(item, list):
            columns.append((f"{prefix}{name}", json.dumps(item)))
        else:
            columns.append((f"{prefix}{name}", item))
    return columns


def _judged_samples(committed: Committed) -> pa.Table:
    """Every sample with its outcome; one that was not judged has none (Arrow joins no list columns)."""
    table, outcomes = committed.samples, committed.outcomes
    if not all(table[name].equals(outcomes[name]) for name in KEY):
        places = {key: place for place, key in enumerate(_keys(outcomes))}
        outcomes = outcomes.take(pa.array([places.get(key) for key in _keys(table)], pa.int64()))
    for name in JUDGED:
        table = table.append_column(OUTCOMES.field(name), outcomes[name])
    return table


def _keys(table: pa.Table) -> Iterator[tuple[str, int, int]]:
    columns = (table[name].to_pylist() for name in KEY)
    return zip(*columns, strict=True)
