"""Our own JSON Lines: what anybody can convert to.

`{prompt | messages, id?, answer? | answers?, family?, completion | completions, finish_reason?, logprobs?}`;
a completion is a text or `{text, finish_reason?, logprob? | logprobs?}`. A logged `correct` is not used:
every text is judged anew. Prompts that repeat over lines are one prompt with more samples.
"""

from collections.abc import Iterator, Mapping
from typing import IO, Any

from workers.importers.chat import asked
from workers.importers.lines import records
from workers.importers.record import (
    ImportedPrompt,
    ImportedSample,
    ImportFault,
    LogNotes,
    finish_of,
    summed,
    texts,
)

SETTINGS = ("temperature", "top_p", "top_k", "min_p", "max_new_tokens")


def read(file: IO[bytes], notes: LogNotes, *, filter: str | None) -> Iterator[ImportedSample]:
    """The samples of a log.

    Raises:
        ImportFault: a line lacks its prompt or its completions.
    """
    del filter
    for line, record in records(file):
        if ("prompt" in record) == ("messages" in record):
            raise ImportFault("give exactly one of `prompt` and `messages`", line=line)
        text, messages = asked(record.get("prompt", record.get("messages")), line)
        answers = record.get("answers", record.get("answer"))
        family = record.get("family")
        prompt = ImportedPrompt(
            str(record.get("id", record.get("prompt_id", line))),
            text,
            messages,
            texts(answers),
            None if family is None else str(family),
        )
        if isinstance(record.get("model"), str):
            notes.model = notes.model or record["model"]
        for name in SETTINGS:
            notes.set_sampling(name, record.get(name))
        for completion, logprobs in _completions(record, line):
            yield _sample(prompt, completion, logprobs, record, line, notes)


def _completions(record: dict[str, Any], line: int) -> list[tuple[Any, Any]]:
    if ("completion" in record) == ("completions" in record):
        raise ImportFault("give exactly one of `completion` and `completions`", line=line)
    if "completion" in record:
        return [(record["completion"], record.get("logprobs"))]
    completions, logprobs = record["completions"], record.get("logprobs")
    if not isinstance(completions, list) or not completions:
        raise ImportFault("`completions` is no list of completions", line=line)
    if logprobs is None:
        return [(completion, None) for completion in completions]
    if not isinstance(logprobs, list) or len(logprobs) != len(completions):
        raise ImportFault("`logprobs` has not one entry for each of `completions`", line=line)
    return list(zip(completions, logprobs, strict=True))


def _sample(
    prompt: ImportedPrompt,
    completion: Any,
    logprobs: Any,
    record: Mapping[str, Any],
    line: int,
    notes: LogNotes,
) -> ImportedSample:
    fields: Mapping[str, Any] = completion if isinstance(completion, dict) else {"text": completion}
    if not isinstance(fields.get("text"), str):
        raise ImportFault("a completion is neither a text nor an object with a `text`", line=line)
    given = fields.get("logprobs", fields.get("logprob", logprobs))
    listed = given if isinstance(given, list) or given is None else [given]
    return ImportedSample(
        prompt,
        fields["text"],
        finish_of(fields.get("finish_reason", record.get("finish_reason"))),
        None if listed is None else summed(listed, line, notes),
        line,
    )
