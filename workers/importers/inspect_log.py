"""Logs of inspect_ai: `.eval` files, ZIP archives with one entry a sample and epoch."""

import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from typing import IO, Any, Final

from workers.importers.chat import asked
from workers.importers.record import (
    ImportedPrompt,
    ImportedSample,
    ImportFault,
    LogNotes,
    finish_of,
    summed,
    texts,
)
from workers.importers.zipped import entry

SAMPLE: Final = re.compile(r"samples/[^/]+_epoch_\d+(?:/sample)?\.json")
SETTINGS: Final = ("temperature", "top_p", "top_k", "max_tokens")
MAX_SAMPLES: Final = 10_000_000
ATTACHMENT: Final = "attachment://"


def read(file: IO[bytes], notes: LogNotes, *, filter: str | None) -> Iterator[ImportedSample]:
    """The samples of a log, by prompt and epoch as the archive lists them.

    Raises:
        ImportFault: it is no such log, or was invalidated.
    """
    del filter
    try:
        archive = zipfile.ZipFile(file)
    except zipfile.BadZipFile as error:
        raise ImportFault(f"not an `.eval` log: {error}") from error
    with archive:
        names = archive.namelist()
        _read_header(archive, file, names, notes)
        samples = [name for name in names if SAMPLE.fullmatch(name)]
        if not samples:
            raise ImportFault("the log holds no samples", code="no_samples")
        for name in samples:
            sample = _sample(_json(archive, file, name), name, notes)
            if sample is not None:
                yield sample


def _read_header(archive: zipfile.ZipFile, file: IO[bytes], names: list[str], notes: LogNotes) -> None:
    name = next((n for n in ("header.json", "_journal/start.json") if n in names), None)
    if name is None:
        raise ImportFault("the archive has neither header.json nor _journal/start.json: not an `.eval` log")
    header = _json(archive, file, name)
    if header.get("invalidated"):
        raise ImportFault("the log was invalidated by its owner", code="log_invalidated")
    if name != "header.json" or header.get("status") != "success":
        notes.warn("run_unfinished", "the run of this log did not finish; the samples it has are taken")
    about = header.get("eval") or {}
    notes.model = about.get("model")
    for setting in SETTINGS:
        notes.set_sampling(setting, (about.get("model_generate_config") or {}).get(setting))


def _sample(record: dict[str, Any], name: str, notes: LogNotes) -> ImportedSample | None:
    attachments = record.get("attachments") or {}
    output = record.get("output") or {}
    choices = output.get("choices") or []
    if record.get("error") is not None or not choices:
        notes.warn("samples_failed", "samples that ended in an error are left out")
        return None
    try:
        text, messages = asked(_resolved(record.get("input"), attachments), None)
    except ImportFault as error:
        raise ImportFault(f"{name}: {error.detail}") from error
    prompt = ImportedPrompt(str(record.get("id")), text, messages, texts(record.get("target")))
    completion = _resolved(output.get("completion"), attachments)
    if not isinstance(completion, str):
        raise ImportFault(f"{name}: the output has no completion")
    content = (choices[0].get("logprobs") or {}).get("content")
    logprob = None if content is None else summed([token.get("logprob") for token in content], None, notes)
    return ImportedSample(prompt, completion, finish_of(choices[0].get("stop_reason")), logprob)


def _resolved(value: Any, attachments: Mapping[str, Any]) -> Any:
    """A value whose texts are not references to attachments any more."""
    if isinstance(value, str) and value.startswith(ATTACHMENT):
        return attachments.get(value.removeprefix(ATTACHMENT), value)
    if isinstance(value, list):
        return [_resolved(item, attachments) for item in value]
    if isinstance(value, dict):
        return {key: _resolved(item, attachments) for key, item in value.items()}
    return value


def _json(archive: zipfile.ZipFile, file: IO[bytes], name: str) -> dict[str, Any]:
    try:
        record = json.loads(entry(archive, file, name))
    except (ValueError, RecursionError) as error:
        raise ImportFault(f"{name} is not JSON: {error}") from error
    if not isinstance(record, dict):
        raise ImportFault(f"{name} is no JSON object")
    return record
