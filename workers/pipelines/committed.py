"""The committed artefacts of an analysis, read together and checked against the plan."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workers.estimators.scored_sources import Source
from workers.pipelines.proposals import arm_sources
from workers.pipelines.shards import Item
from workers.pipelines.spec import TEACHER, AnalysisSpec
from workers.pipelines.tables import (
    OUTCOMES,
    SAMPLES,
    SCORES,
    PlanMismatchError,
    assert_planned,
    from_parquet,
    of_stream,
    together,
    with_rounds,
)

SCHEMAS = {"sample": SAMPLES, "verify": OUTCOMES, "score": SCORES}
Read = Callable[[Mapping[str, Any]], bytes]
"""Fetches the bytes of an input, its hash checked."""


@dataclass(frozen=True, slots=True)
class Committed:
    """All committed rows, sorted by stream, prompt and sample.

    Attributes:
        samples: What was drawn; empty where the caller did not ask for it.
        outcomes: What was judged, with the round in which each sample was drawn.
        scores: What the sides scored: pilots whole, of later draws successes alone.
        drawn: Samples planned so far by stream and prompt, failed shards included.
        beside: Scored draws of arms and of other checkpoints, by prompt, where they speak for the reference.
        by_teacher: What the teacher scored; empty without one.
    """

    samples: pa.Table
    outcomes: pa.Table
    scores: pa.Table
    drawn: dict[str, list[int]]
    beside: tuple[tuple[Source, ...], ...] = ()
    by_teacher: pa.Table = field(default_factory=SCORES.empty_table)


def read_committed(
    spec: AnalysisSpec,
    inputs: Sequence[Mapping[str, Any]],
    failures: Sequence[Mapping[str, Any]],
    read: Read,
    *,
    with_samples: bool,
) -> Committed:
    """Read the artefacts that DONE shards name.

    Args:
        spec: The analysis.
        inputs: Committed shards with `work`, `stream`, `round`, `items` and where their artefact is.
        failures: Shards that were given up.
        read: Fetches an artefact.
        with_samples: Whether token ids and texts are wanted too.

    Raises:
        PlanMismatchError: rows are missing, foreign or there twice.
    """
    tables = {}
    for work, schema in SCHEMAS.items():
        if work == "sample" and not with_samples:
            tables[work] = schema.empty_table()
            continue
        shards = [shard for shard in inputs if shard["work"] == work]
        found = (from_parquet(read(shard), schema) for shard in shards)
        merged = together(found, schema)
        _assert_planned(merged, shards, work)
        tables[work] = merged
    sampled = [shard for shard in (*inputs, *failures) if shard["work"] == "sample"]
    drawing = [shard for shard in inputs if shard["work"] == "sample"]
    outcomes = with_rounds(tables["verify"], drawing)
    taught = pc.field("scorer") == TEACHER
    scores = tables["score"].filter(~taught)
    return Committed(
        samples=tables["sample"],
        outcomes=outcomes,
        scores=scores,
        drawn=_drawn(spec, sampled),
        beside=arm_sources(spec, outcomes, scores),
        by_teacher=tables["score"].filter(taught),
    )


def complete_prompts(spec: AnalysisSpec, committed: Committed) -> list[int]:
    """Prompts whose whole pilot was judged on every side, and scored where the others were."""
    of_sides = pc.field("stream").isin(pa.array(spec.sides))
    scores = committed.scores.filter(of_sides)
    tables = [committed.outcomes, scores] if scores.num_rows else [committed.outcomes]
    whole = [_has_pilots(table, stream, spec) for stream in spec.sides for table in tables]
    return np.flatnonzero(np.all(whole, axis=0)).tolist()


def assert_complete(spec: AnalysisSpec, committed: Committed) -> None:
    """Check that everything drawn was judged, and that no prompt lacks its pilot.

    Raises:
        PlanMismatchError: it was not.
    """
    drawn = {
        stream: [(prompt, 0, count) for prompt, count in enumerate(counts) if count]
        for stream, counts in committed.drawn.items()
    }
    assert_planned(committed.outcomes, drawn, "outcomes")
    missing = len(spec.prompts) - len(complete_prompts(spec, committed))
    if missing:
        raise PlanMismatchError(f"{missing} prompts lack a part of their pilot")


def _assert_planned(table: pa.Table, shards: Sequence[Mapping[str, Any]], work: str) -> None:
    """Check the rows against the plan; a sample is scored once by each scorer."""
    if work != "score":
        assert_planned(table, _planned(shards), work)
        return
    for scorer in sorted({*(shard["scorer"] for shard in shards), *table["scorer"].unique().to_pylist()}):
        planned = _planned([shard for shard in shards if shard["scorer"] == scorer])
        assert_planned(table.filter(pc.field("scorer") == scorer), planned, f"{work} by {scorer}")


def _planned(shards: Sequence[Mapping[str, Any]]) -> dict[str, list[Item]]:
    planned: dict[str, list[Item]] = {}
    for shard in shards:
        planned.setdefault(shard["stream"], []).extend((p, low, high) for p, low, high in shard["items"])
    return planned


def _drawn(spec: AnalysisSpec, shards: Sequence[Mapping[str, Any]]) -> dict[str, list[int]]:
    drawn = {stream: [0] * len(spec.prompts) for stream in spec.streams}
    for shard in shards:
        for prompt, _, high in shard["items"]:
            counts = drawn[shard["stream"]]
            counts[prompt] = max(counts[prompt], high)
    return drawn


def _has_pilots(table: pa.Table, stream: str, spec: AnalysisSpec) -> NDArray[np.bool_]:
    """Whether the pilot of each prompt is there as a whole. Shape `(prompts,)`."""
    wanted = np.array(spec.pilots(stream), dtype=np.int64)
    rows = of_stream(table, stream)
    prompts = rows["prompt_index"].to_numpy()
    in_pilot = rows["index"].to_numpy() < wanted[prompts]
    return np.asarray(np.bincount(prompts[in_pilot], minlength=len(wanted)) == wanted)
