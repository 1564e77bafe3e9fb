"""The formats that can be imported, by name."""

from collections.abc import Iterator, Mapping
from typing import IO, Final, Protocol

from workers.importers import evalplus, generic, inspect_log, lm_eval, openai_evals
from workers.importers.record import ImportedSample, LogNotes


class Reader(Protocol):
    """Reads a log sample by sample, and notes what it learns about the whole."""

    def __call__(self, file: IO[bytes], notes: LogNotes, *, filter: str | None) -> Iterator[ImportedSample]:
        """See the modules of the formats."""
        ...


READERS: Final[Mapping[str, Reader]] = {
    "lm-eval": lm_eval.read,
    "inspect": inspect_log.read,
    "jsonl": generic.read,
    "openai-evals": openai_evals.read,
    "evalplus": evalplus.read,
}
