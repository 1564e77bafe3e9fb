"""Samples of a shard that are there already, and what is left to draw."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from workers.engines.causal_model import CausalModel
from workers.pipelines.sample import key_of, render
from workers.pipelines.shards import Item
from workers.pipelines.spec import AnalysisSpec
from workers.pipelines.tables import SAMPLES


@dataclass(frozen=True, slots=True)
class Present:
    """What a shard need not draw.

    Attributes:
        samples: Rows as the shard itself would have drawn them.
        missing: What it still has to.
    """

    samples: pa.Table
    missing: tuple[Item, ...]


def present_samples(
    spec: AnalysisSpec,
    stream: str,
    items: Sequence[Item],
    model: CausalModel,
    tables: Iterable[pa.Table],
    *,
    chat_template: str | None = None,
) -> Present:
    """Pick the samples of some items out of tables that others drew.

    A row is taken only under the very stream key that this shard would draw it under: same weights, rendered
    prompt, policy, seed and stream.

    Args:
        spec: The analysis.
        stream: The stream to draw from.
        items: Prompt indices and ranges of sample indices.
        model: Its participant's model.
        tables: Committed samples, of whatever prompts and streams.
        chat_template: As in `sample_items`.
    """
    columns: dict[str, list[object]] = {name: [] for name in SAMPLES.names}
    pool: dict[tuple[str, int], dict[str, object]] = {}
    for table in tables:
        for row in table.to_pylist():
            pool.setdefault((row["stream_key"], row["index"]), row)
    missing: list[Item] = []
    for prompt_index, low, high in items:
        prompt = spec.prompts[prompt_index]
        prompt_ids = render(model, prompt, spec.streams[stream].rendering, chat_template)
        key = key_of(spec, stream, prompt_ids, model)
        for index in range(low, high):
            row = pool.get((key, index))
            if row is None:
                _extend(missing, prompt_index, index)
                continue
            named = {"prompt_index": prompt_index, "prompt_id": prompt.id, "stream": stream}
            for name in SAMPLES.names:
                columns[name].append(named.get(name, row[name]))
    return Present(pa.table(columns, schema=SAMPLES), tuple(missing))


def merged(items: Sequence[Item], tables: Iterable[pa.Table]) -> pa.Table:
    """Rows of several tables in the order of the items, as one draw would have left them."""
    together = pa.concat_tables(tables)
    at = {
        pair: row
        for row, pair in enumerate(
            zip(together["prompt_index"].to_pylist(), together["index"].to_pylist(), strict=True)
        )
    }
    order = [at[prompt, index] for prompt, low, high in items for index in range(low, high)]
    return together.take(pa.array(order, pa.int64())).combine_chunks()


def _extend(missing: list[Item], prompt_index: int, index: int) -> None:
    if missing and missing[-1][0] == prompt_index and missing[-1][2] == index:
        missing[-1] = (prompt_index, missing[-1][1], index + 1)
    else:
        missing.append((prompt_index, index, index + 1))
