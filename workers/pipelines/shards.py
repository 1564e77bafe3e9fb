"""Rounds and shards: what to sample, verify and score, cut into pieces of minutes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Work = Literal["sample", "verify", "score", "plan", "finalise"]
Item = tuple[int, int, int]
"""A prompt's index and the half-open range of sample indices."""


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """A shard that is still to be inserted.

    Attributes:
        idx: Its number within the round.
        stream: Whose samples it draws, verifies or scores.
        scorer: The participant whose model scores, for `score`.
        items: Prompt indices with their sample ranges.
        depends_on_idx: The shard of the same round whose samples it reads.
        model_keys: Keys of the models it wants resident; see `workers.engines.digests.model_key`.
        depends_on_id: The committed shard of an older round whose samples it reads instead.
    """

    idx: int
    work: Work
    stream: str | None
    scorer: str | None
    items: tuple[Item, ...]
    depends_on_idx: int | None
    model_keys: tuple[str, ...]
    depends_on_id: str | None = None

    @property
    def planned_rows(self) -> int:
        """Rows its artefact will have."""
        return sum(high - low for _, low, high in self.items)

    def to_message(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "idx": self.idx,
            "work": self.work,
            "stream": self.stream,
            "scorer": self.scorer,
            "items": [list(item) for item in self.items],
            "planned_rows": self.planned_rows,
            "depends_on": self.depends_on_idx if self.depends_on_id is None else self.depends_on_id,
            "model_keys": list(self.model_keys),
        }


FINALISE = ShardPlan(0, "finalise", None, None, (), None, ())


def blocks(items: Iterable[Item], max_rows: int) -> list[tuple[Item, ...]]:
    """Cut items into blocks of at most `max_rows` rows, splitting a prompt's range where it must.

    Raises:
        ValueError: if `max_rows` < 1.
    """
    if max_rows < 1:
        raise ValueError("a block holds at least one row")
    out: list[tuple[Item, ...]] = []
    block: list[Item] = []
    room = max_rows
    for prompt, low, high in items:
        start = low
        while start < high:
            stop = min(high, start + room)
            block.append((prompt, start, stop))
            room -= stop - start
            start = stop
            if room == 0:
                out.append(tuple(block))
                block, room = [], max_rows
    if block:
        out.append(tuple(block))
    return out


def sampling_round(
    wanted: Mapping[str, Sequence[Item]],
    *,
    scored_by: Mapping[str, Sequence[str]],
    model_keys: Mapping[str, str],
    max_rows: Mapping[str, int],
) -> list[ShardPlan]:
    """Shards of one round: each block is sampled, then verified and, where asked, scored.

    Args:
        wanted: Items to sample, by stream.
        scored_by: For each stream whose samples are scored, the participants whose models score them.
        model_keys: Key of the model of each stream and scorer; an imported side has none.
        max_rows: Rows a shard, by stream.
    """
    plans: list[ShardPlan] = []
    for stream, items in wanted.items():
        keys = (model_keys[stream],) if stream in model_keys else ()
        for block in blocks(items, max_rows[stream]):
            sample_idx = len(plans)
            plans.append(ShardPlan(sample_idx, "sample", stream, None, block, None, keys))
            plans.append(ShardPlan(len(plans), "verify", stream, None, block, sample_idx, ()))
            for scorer in scored_by.get(stream, ()):
                both = (model_keys[stream], model_keys[scorer])
                plans.append(ShardPlan(len(plans), "score", stream, scorer, block, sample_idx, both))
    return plans
