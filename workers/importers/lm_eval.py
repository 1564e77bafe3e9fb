"""Sample logs of lm-evaluation-harness: `samples_<task>_<time>.jsonl`.

One line is one document under one filter: with two filters each document is there twice. The logged metric
covers the filtered response only, so correctness is judged anew from every response.
"""

from collections.abc import Iterator, Mapping
from typing import IO, Any

from workers.importers.chat import asked_in_text
from workers.importers.lines import records, required
from workers.importers.record import ImportedPrompt, ImportedSample, ImportFault, LogNotes, texts

SETTINGS = ("temperature", "top_p", "top_k", "min_p", "max_gen_toks", "do_sample")


def read(file: IO[bytes], notes: LogNotes, *, filter: str | None) -> Iterator[ImportedSample]:
    """The samples of a log.

    Args:
        file: The log.
        notes: Receives what is learnt.
        filter: Lines of this filter; None takes those of the first.

    Raises:
        ImportFault: it is no such log, has no generations, or none under the filter.
    """
    chosen, found = filter, False
    seen: set[tuple[Any, Any]] = set()
    for line, record in records(file):
        name = str(record.get("filter", "none"))
        if name not in notes.filters:
            notes.filters.append(name)
        chosen = chosen or name
        if name != chosen:
            continue
        key = (record.get("doc_id"), record.get("doc_hash"))
        if key in seen:
            raise ImportFault(f"document {key[0]!r} is there twice under the filter `{name}`", line=line)
        seen.add(key)
        found = True
        yield from _samples(record, line, notes)
    if not found and filter is not None:
        offered = ", ".join(f"`{name}`" for name in notes.filters)
        raise ImportFault(f"no line has the filter `{filter}`; the log has {offered}", code="unknown_filter")
    if len(notes.filters) > 1 and filter is None:
        notes.warn(
            "several_filters",
            f"its filters are {', '.join(notes.filters)}; `{chosen}` was taken; `filter=` names another",
        )


def _samples(record: dict[str, Any], line: int, notes: LogNotes) -> Iterator[ImportedSample]:
    responses = required(record, "resps", line)
    arguments = required(record, "arguments", line)
    if not isinstance(responses, list) or not responses or not isinstance(responses[0], list):
        raise ImportFault("`resps` is no list of lists of responses", line=line)
    if len(responses) > 1 or not all(isinstance(text, str) for text in responses[0]):
        raise ImportFault(
            "these are log-likelihoods of given choices and no samples, so no support can be estimated: run "
            "the task as generation with repeats",
            line=line,
            code="no_samples",
        )
    first = next(iter(arguments.values())) if isinstance(arguments, dict) and arguments else None
    if not isinstance(first, Mapping) or not isinstance(first.get("arg_0"), str):
        raise ImportFault("`arguments` holds no prompt", line=line)
    settings = first.get("arg_1")
    if isinstance(settings, Mapping):
        for name in SETTINGS:
            notes.set_sampling(name, settings.get(name))
    text, messages = asked_in_text(first["arg_0"])
    prompt = ImportedPrompt(str(record.get("doc_id", line)), text, messages, texts(record.get("target")))
    for response in responses[0]:
        yield ImportedSample(prompt, response, line=line)
