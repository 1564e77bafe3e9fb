"""Imported logs: parsing one, and reading it as a side of an analysis."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import ValidationError

from api_schemas.imports import ImportSummary
from api_schemas.prompts import Prompt
from workers.errors import Aborted, AnalysisFault
from workers.host.context import HostContext
from workers.host.storage import store_file
from workers.importers.collection import IMPORTED, collect
from workers.importers.formats import READERS
from workers.importers.record import ImportedPrompt, LogNotes
from workers.pipelines.pairing import ImportedSide
from workers.pipelines.shards import Item
from workers.pipelines.spec import AnalysisSpec, prompt_specs
from workers.pipelines.tables import SAMPLES

Message = Mapping[str, Any]

PARQUET: Final = "application/vnd.apache.parquet"


@dataclass(frozen=True, slots=True)
class LoadedImport:
    """A parsed log.

    Attributes:
        side: Its prompts and how many samples each has.
        samples: Its samples, a table of `IMPORTED`.
        sampling: Settings it was drawn with, as far as it says.
    """

    side: ImportedSide
    samples: pa.Table
    sampling: Mapping[str, Any]


def run_import(message: Message, context: HostContext) -> dict[str, Any]:
    """Parse a log and store what it holds.

    Raises:
        ImportFault: it cannot be read.
        Aborted: the supervisor asked to stop.
    """
    spec, notes = message["analysis"]["spec"], LogNotes()

    def progress(done: int) -> None:
        if context.aborted():
            raise Aborted("the supervisor asked to stop")
        context.progress(done)

    path = context.store.path_of(spec["source"]["key"])
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != spec["source"]["sha256"]:
            raise AnalysisFault("source_damaged", "the stored log was altered; upload it again")
        file.seek(0)
        found = collect(READERS[spec["format"]](file, notes, filter=spec["filter"]), notes, progress)
    lines = [_prompt_line(*entry) for entry in zip(found.prompts, found.counts, strict=True)]
    summary = ImportSummary.model_validate(found.summary(notes)).model_dump(mode="json")
    files = {
        "summary.json": (json.dumps(summary, allow_nan=False).encode(), "application/json"),
        "prompts.jsonl": (b"".join(lines), "application/jsonl"),
        "samples.parquet": (found.samples, PARQUET),
    }
    return {
        "artefact": None,
        "usage": {},
        "artifacts": {
            name: {**store_file(message, context, name, data), "media_type": media_type}
            for name, (data, media_type) in files.items()
        },
        "warnings": [{"code": code, "detail": detail} for code, detail in notes.warnings.items()],
        "verdict": None,
    }


def load_import(imported: Message, context: HostContext) -> LoadedImport:
    """A parsed log; the last two stay in memory, for the sides of one analysis."""
    cache: dict[str, LoadedImport] = context.cache.setdefault("imports", {})
    key = "".join(imported[name]["sha256"] for name in ("samples", "prompts", "summary"))
    if key not in cache:
        while len(cache) >= 2:
            del cache[next(iter(cache))]
        lines = _read(imported["prompts"], context).split(b"\n")[:-1]
        rows = [json.loads(line) for line in lines]
        full = (Prompt.model_validate(row["prompt"]).model_dump(mode="json") for row in rows)
        side = ImportedSide(prompt_specs(full), tuple(row["samples"] for row in rows))
        samples = pq.read_table(pa.BufferReader(_read(imported["samples"], context)), schema=IMPORTED)
        sampling = json.loads(_read(imported["summary"], context))["sampling"]
        cache[key] = LoadedImport(side, samples, sampling)
    return cache[key]


def imported_samples(
    spec: AnalysisSpec, stream: str, items: list[Item], imported: LoadedImport, rows: tuple[int, ...]
) -> pa.Table:
    """The samples of some items as a table of `SAMPLES`, without token ids and log-probabilities.

    Args:
        spec: The analysis.
        stream: Whose samples.
        items: Prompt indices and sample ranges.
        imported: The log.
        rows: Each prompt's number in the log.
    """
    tables = [SAMPLES.empty_table()]
    for prompt, low, high in items:
        wanted = (
            (pc.field("prompt") == rows[prompt]) & (pc.field("index") >= low) & (pc.field("index") < high)
        )
        found = imported.samples.filter(wanted).sort_by("index")
        count = found.num_rows
        tables.append(
            pa.table(
                {
                    "prompt_index": pa.array([prompt] * count, pa.int32()),
                    "prompt_id": [spec.prompts[prompt].id] * count,
                    "stream": [stream] * count,
                    "stream_key": ["import"] * count,
                    "index": found["index"],
                    "token_ids": pa.nulls(count, SAMPLES.field("token_ids").type),
                    "logprobs": pa.nulls(count, SAMPLES.field("logprobs").type),
                    "finish_reason": found["finish_reason"],
                    "text": found["text"],
                },
                schema=SAMPLES,
            )
        )
    return pa.concat_tables(tables)


def _read(stored: Message, context: HostContext) -> bytes:
    return context.store.open_verified(stored["key"], stored["sha256"])


def _prompt_line(prompt: ImportedPrompt, samples: int) -> bytes:
    content = {
        "id": prompt.id,
        "prompt": prompt.text,
        "messages": prompt.messages,
        "answers": prompt.answers or None,
        "family": prompt.family,
    }
    try:
        checked = Prompt.model_validate(content)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        raise AnalysisFault("invalid_log", f"prompt `{prompt.id}`: {fault['msg']}") from error
    row = {"prompt": checked.model_dump(mode="json", exclude_defaults=True), "samples": samples}
    return json.dumps(row, ensure_ascii=False).encode() + b"\n"
