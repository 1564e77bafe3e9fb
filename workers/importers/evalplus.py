"""Samples of EvalPlus and HumanEval: one line a sample, `task_id` repeated."""

from collections.abc import Iterator
from typing import IO

from workers.importers.lines import records, required
from workers.importers.record import ImportedPrompt, ImportedSample, ImportFault, LogNotes


def read(file: IO[bytes], notes: LogNotes, *, filter: str | None) -> Iterator[ImportedSample]:
    """The samples of a log; the prompt is not stored, so the task's id stands for it.

    Raises:
        ImportFault: a line has no text.
    """
    del filter
    notes.warn("prompts_not_stored", "the log has no prompts: tasks pair by their ids")
    for line, record in records(file):
        task = required(record, "task_id", line)
        text = record.get("solution", record.get("completion"))
        if not isinstance(task, str) or not isinstance(text, str):
            raise ImportFault("a sample needs a `task_id` and a text `solution` or `completion`", line=line)
        yield ImportedSample(ImportedPrompt(task, task, None, ()), text, line=line)
