"""Rows as CSV that a spreadsheet shows and never runs."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""First characters by which a spreadsheet takes a text for a formula, full-width forms included."""


def csv_chunks(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """A header, then a piece a row; what a row lacks, or has as None, is an empty cell.

    A text that a spreadsheet could take for a formula gets a leading apostrophe; numbers stay numbers.

    Args:
        columns: Names, in order.
        rows: Values by column.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow([_cell(name) for name in columns])
    for row in rows:
        yield _drained(buffer)
        writer.writerow([_cell(row.get(name)) for name in columns])
    yield _drained(buffer)


def flatten(row: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A row whose objects became columns `outer.inner`, and whose lists became JSON text."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            flat[f"{prefix}{name}"] = json.dumps(value, ensure_ascii=False)
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def columns_of(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Every column that any row has, in order of appearance."""
    return list(dict.fromkeys(name for row in rows for name in row))


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        # Spaces in front keep no spreadsheet from finding a formula.
        return f"'{value}" if value.lstrip(" ").startswith(FORMULA_STARTS) else value
    return json.dumps(value)


def _drained(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode()
