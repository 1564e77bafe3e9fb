"""Analyses that are extended: what their pilot still lacks, and what that does to error levels."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from workers.pipelines.participants import Participant
from workers.pipelines.plan import Notice, RoundPlan, model_keys, rows_per_shard, scorers
from workers.pipelines.shards import Item, ShardPlan, sampling_round
from workers.pipelines.spec import AnalysisSpec

Shards = Sequence[Mapping[str, Any]]
"""Shards that came to their end, with `work`, `stream`, `scorer` and `items`."""


def plan_missing(
    spec: AnalysisSpec,
    participants: Mapping[str, Participant],
    inputs: Shards,
    failures: Shards,
    *,
    shard_tokens: int,
) -> RoundPlan | None:
    """The round that makes the pilot whole under the present budget, and judges all that was drawn.

    An analysis that was extended has a pilot of before. One that was stopped first may also have gaps in its
    later draws, or samples that nobody judged or scored any more.

    Args:
        spec: The analysis.
        participants: Models by stream.
        inputs: Committed shards, with their `shard_id`.
        failures: Shards that were given up: they are not tried again.
        shard_tokens: New tokens a shard may draw at most, unless one sample needs more.

    Returns:
        The round; None if nothing is missing.
    """
    ended = (*inputs, *failures)
    scored_by, keys = scorers(spec, participants), model_keys(spec, participants)
    drawn = sampling_round(
        {stream: _undrawn(spec, stream, ended) for stream in spec.streams},
        scored_by={},
        model_keys=keys,
        max_rows={stream: rows_per_shard(spec, shard_tokens, stream) for stream in spec.streams},
    )
    plans = [*drawn]
    for reader in _readers(spec, scored_by, keys):
        covered = coverage(ended, reader.work, reader.stream, reader.scorer)
        for source in _sources(inputs, drawn, reader):
            if left := tuple(without(reader.read_of(spec, source.items), covered)):
                plans.append(reader.shard(len(plans), left, source))
    return RoundPlan(tuple(plans), "sampling") if plans else None


def extended_notices(revision: int) -> tuple[Notice, ...]:
    """What a reader must know of a result that is not the first of its analysis.

    Each revision's bounds miss with chance alpha at most if its budget was fixed beforehand; by the union
    bound one of r misses with chance r alpha at most, whichever of them is quoted.
    """
    if revision == 1:
        return ()
    detail = (
        f"this is revision {revision}: the budget was raised after a result had been seen. Each revision "
        "holds at its level for a budget that was fixed beforehand; whichever is quoted, errors are at most "
        f"{revision} times as frequent, and more so if the new budget was chosen by what the last one showed"
    )
    return (Notice("extended", detail),)


@dataclass(frozen=True, slots=True)
class _Source:
    """A sample shard: one of this round, or a committed one."""

    items: tuple[Item, ...]
    idx: int | None
    id: str | None


@dataclass(frozen=True, slots=True)
class _Reader:
    """Work on the samples of a stream: judging them, or scoring those of the pilot."""

    work: Literal["verify", "score"]
    stream: str
    scorer: str | None
    model_keys: tuple[str, ...]

    def read_of(self, spec: AnalysisSpec, items: Iterable[Item]) -> list[Item]:
        """The part of what was drawn that is read."""
        if self.work == "verify":
            return list(items)
        pilots = ((prompt, low, min(high, spec.pilot(self.stream, prompt))) for prompt, low, high in items)
        return [(prompt, low, high) for prompt, low, high in pilots if low < high]

    def shard(self, idx: int, items: tuple[Item, ...], source: _Source) -> ShardPlan:
        """A shard that reads some of them."""
        return ShardPlan(
            idx, self.work, self.stream, self.scorer, items, source.idx, self.model_keys, source.id
        )


def _readers(
    spec: AnalysisSpec, scored_by: Mapping[str, Sequence[str]], keys: Mapping[str, str]
) -> Iterator[_Reader]:
    for stream in spec.streams:
        yield _Reader("verify", stream, None, ())
        for scorer in scored_by.get(stream, ()):
            yield _Reader("score", stream, scorer, (keys[stream], keys[scorer]))


def _sources(inputs: Shards, drawn: Sequence[ShardPlan], reader: _Reader) -> Iterator[_Source]:
    """The sample shards that may hold what a reader has not read."""
    for shard in inputs:
        if (shard["work"], shard["stream"]) == ("sample", reader.stream):
            items = tuple((prompt, low, high) for prompt, low, high in shard["items"])
            yield _Source(items, None, shard["shard_id"])
    for plan in drawn:
        # Each new block is planned with its judging.
        if (plan.work, plan.stream, reader.work) == ("sample", reader.stream, "score"):
            yield _Source(plan.items, plan.idx, None)


def _undrawn(spec: AnalysisSpec, stream: str, ended: Shards) -> list[Item]:
    """Samples below the pilot or below the last one drawn that no shard drew."""
    drawn = coverage(ended, "sample", stream, None)
    wanted = []
    for prompt in spec.prompts:
        pilot = spec.pilot(stream, prompt.index) if stream in spec.piloted else 0
        highest = max((high for _, high in drawn.get(prompt.index, ())), default=0)
        wanted.append((prompt.index, 0, max(pilot, highest)))
    return without(wanted, drawn)


def coverage(shards: Shards, work: str, stream: str, scorer: str | None) -> dict[int, list[tuple[int, int]]]:
    """Ranges of samples of each prompt that shards of one kind hold, in order."""
    covered: dict[int, list[tuple[int, int]]] = {}
    for shard in shards:
        if (shard["work"], shard["stream"], shard["scorer"]) == (work, stream, scorer):
            for prompt, low, high in shard["items"]:
                covered.setdefault(prompt, []).append((low, high))
    return {prompt: sorted(ranges) for prompt, ranges in covered.items()}


def without(items: Iterable[Item], covered: Mapping[int, Sequence[tuple[int, int]]]) -> list[Item]:
    """The parts of some items that ranges, each prompt's in order, do not cover."""
    left: list[Item] = []
    for prompt, low, high in items:
        start = low
        for begin, end in covered.get(prompt, ()):
            if start < min(begin, high):
                left.append((prompt, start, min(begin, high)))
            start = max(start, end)
        if start < high:
            left.append((prompt, start, high))
    return left
