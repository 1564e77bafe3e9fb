"""JSON Lines, with the number of each."""

import json
from collections.abc import Iterator
from typing import IO, Any, Final

from workers.importers.record import ImportFault

MAX_LINE_BYTES: Final = 64 << 20
"""Of one record: a hundred samples of the longest chains of thought; beyond it the file is something else."""


def records(file: IO[bytes]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and object of every line that is not blank.

    Raises:
        ImportFault: a line is too long, or no JSON object.
    """
    number = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES:
            raise ImportFault(f"more than {MAX_LINE_BYTES:,} bytes in one line", line=number)
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ImportFault(f"not JSON: {error}", line=number) from error
        if not isinstance(record, dict):
            raise ImportFault("not a JSON object", line=number)
        yield number, record


def required(record: dict[str, Any], name: str, line: int) -> Any:
    """A member that must be there.

    Raises:
        ImportFault: it is not.
    """
    if name not in record:
        raise ImportFault(f"there is no `{name}`; is this log of another format?", line=line)
    return record[name]
