"""A whole log: its prompts, its samples as a table, and what can be made of it."""

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from workers.importers.record import ImportedPrompt, ImportedSample, ImportFault, LogNotes

IMPORTED: Final = pa.schema(
    [
        ("prompt", pa.int32()),
        ("index", pa.int32()),
        ("text", pa.string()),
        ("finish_reason", pa.string()),
        ("logprob", pa.float64()),
    ]
)
CHUNK_ROWS: Final = 16_384
"""Samples held as Python values at once."""

MAX_PROMPTS: Final = 100_000
"""As a data set: an analysis of them holds them in memory."""


@dataclass(slots=True)
class Collection:
    """What a log was read into.

    Attributes:
        prompts: Its prompts, in order of appearance, each text once.
        counts: Samples of each prompt.
        ids: Names in use: another prompt of the same name gets one of its own.
        logprobs: Samples with a log-probability.
        samples: The samples, as a Parquet file of `IMPORTED`.
    """

    prompts: list[ImportedPrompt] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    logprobs: int = 0
    samples: bytes = b""

    def summary(self, notes: LogNotes) -> dict[str, Any]:
        """What the log holds, as JSON values."""
        return {
            "model": notes.model,
            "prompts": len(self.prompts),
            "samples": sum(self.counts),
            "samples_per_prompt": {"fewest": min(self.counts), "most": max(self.counts)},
            "answers": sum(bool(prompt.answers) for prompt in self.prompts),
            "logprobs": self.logprobs,
            "sampling": notes.sampling,
            "filters": notes.filters,
            "supports": ["support", "capability"],
        }


def collect(
    samples: Iterable[ImportedSample], notes: LogNotes, on_progress: Callable[[int], None]
) -> Collection:
    """Read every sample of a log; equal prompts are one prompt, whatever they are called.

    Args:
        samples: The samples, in the log's order.
        notes: Receives warnings.
        on_progress: Told how many samples are read, now and then.

    Raises:
        ImportFault: there are none, or too many prompts.
    """
    found = Collection()
    places: dict[str, int] = {}
    sink = io.BytesIO()
    rows: list[dict[str, Any]] = []
    with pq.ParquetWriter(sink, IMPORTED, compression="zstd") as writer:
        for sample in samples:
            place = _place(found, places, sample, notes)
            rows.append(
                {
                    "prompt": place,
                    "index": found.counts[place],
                    "text": sample.text,
                    "finish_reason": sample.finish,
                    "logprob": sample.logprob,
                }
            )
            found.counts[place] += 1
            found.logprobs += sample.logprob is not None
            if len(rows) == CHUNK_ROWS:
                writer.write_table(pa.Table.from_pylist(rows, IMPORTED))
                rows.clear()
                on_progress(sum(found.counts))
        writer.write_table(pa.Table.from_pylist(rows, IMPORTED))
    if not found.prompts:
        raise ImportFault("the log holds no samples", code="no_samples")
    found.samples = sink.getvalue()
    return found


def _place(found: Collection, places: dict[str, int], sample: ImportedSample, notes: LogNotes) -> int:
    """The number of a sample's prompt."""
    digest = sample.prompt.digest
    place = places.get(digest)
    if place is not None:
        if found.prompts[place].answers != sample.prompt.answers:
            notes.warn(
                "answers_differ",
                f"prompt `{found.prompts[place].id}` is there with several answers; the first counts",
            )
        return place
    if len(found.prompts) == MAX_PROMPTS:
        raise ImportFault(f"more than {MAX_PROMPTS:,} prompts; split the log", line=sample.line)
    places[digest] = len(found.prompts)
    taken = sample.prompt.id in found.ids
    found.prompts.append(
        replace(sample.prompt, id=f"{sample.prompt.id}-{digest[:8]}") if taken else sample.prompt
    )
    found.ids.add(sample.prompt.id)
    found.counts.append(0)
    return places[digest]
