"""Exported output items of OpenAI Evals runs, one a line; the items of several runs are several samples."""

from collections.abc import Iterator
from typing import IO

from workers.importers.chat import asked
from workers.importers.lines import records, required
from workers.importers.record import (
    ImportedPrompt,
    ImportedSample,
    ImportFault,
    LogNotes,
    finish_of,
    texts,
)

ANSWERS = ("answer", "ground_truth", "target", "expected", "reference_answer", "correct_answer", "ideal")
"""Members of an item that customarily hold the accepted answer; the first that is there counts."""


def read(file: IO[bytes], notes: LogNotes, *, filter: str | None) -> Iterator[ImportedSample]:
    """The samples of a log.

    Raises:
        ImportFault: a line is no output item, or its sample has no text.
    """
    del filter
    for line, record in records(file):
        sample = required(record, "sample", line)
        if not isinstance(sample, dict) or not isinstance(sample.get("output"), list):
            raise ImportFault("`sample` has no `output`", line=line)
        text, messages = asked(sample.get("input"), line)
        item = record.get("datasource_item")
        known = item.get("item", item) if isinstance(item, dict) else {}
        answer = next((known[name] for name in ANSWERS if isinstance(known, dict) and name in known), None)
        prompt = ImportedPrompt(str(record.get("datasource_item_id", line)), text, messages, texts(answer))
        notes.model = notes.model or sample.get("model")
        for name in ("temperature", "top_p", "max_completion_tokens"):
            notes.set_sampling(name, sample.get(name))
        turns = [turn.get("content") for turn in sample["output"] if isinstance(turn, dict)]
        written = [content for content in turns if isinstance(content, str)]
        if not written or len(written) < len(turns):
            notes.warn("items_without_output", "items whose sample failed have no output and are left out")
            continue
        yield ImportedSample(prompt, "".join(written), finish_of(sample.get("finish_reason")), line=line)
