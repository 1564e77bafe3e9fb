"""The reference's word on what was drawn and judged: successes alone, and only where reach was open.

Of arms' samples and of what a candidate drew beyond its pilot. A failure has no weight, whatever its score.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow.compute as pc

from workers.pipelines.assessment import assess_reference
from workers.pipelines.committed import Committed
from workers.pipelines.extension import coverage, without
from workers.pipelines.observations import PromptObservations
from workers.pipelines.participants import Participant
from workers.pipelines.plan import RoundPlan, model_keys
from workers.pipelines.shards import Item, ShardPlan
from workers.pipelines.spec import REFERENCE, AnalysisSpec

Shards = Sequence[Mapping[str, Any]]
Seen = Mapping[str, tuple[AnalysisSpec, Sequence[PromptObservations]]]
"""Each candidate's stream, or the reference's without one: the analysis with it alone, and what it sees."""


def plan_success_scores(
    spec: AnalysisSpec,
    participants: Mapping[str, Participant],
    committed: Committed,
    seen: Seen,
    inputs: Shards,
    failures: Shards,
) -> RoundPlan | None:
    """The round that scores successes; None if nothing is left to score.

    It draws nothing: what it shows may spare the draws that would follow. Which successes are scored may
    depend on anything, since one that is not counts as a failure. Of arms only those are scored that may
    still show reach; of candidates, all those of rounds that count, whose points would lack them.

    Args:
        spec: The analysis, audited where it has an audit.
        participants: Models by stream.
        committed: What is committed; samples may be missing.
        seen: Every candidate's view of it.
        inputs: Committed shards, with their `shard_id`.
        failures: Shards that were given up: they are not tried again.
    """
    wanted = {**_of_arms(spec, committed, seen), **_of_candidates(seen)}
    if not any(wanted.values()):
        return None
    keys = model_keys(spec, participants)
    plans: list[ShardPlan] = []
    for stream, successes in wanted.items():
        scored = coverage((*inputs, *failures), "score", stream, REFERENCE)
        unscored = _by_prompt(without(successes, scored))
        models = tuple(dict.fromkeys((keys[stream], keys[REFERENCE])))
        for source in inputs:
            if (source["work"], source["stream"]) == ("sample", stream) and (
                items := _held(source, stream, unscored)
            ):
                plans.append(
                    ShardPlan(len(plans), "score", stream, REFERENCE, items, None, models, source["shard_id"])
                )
    return RoundPlan(tuple(plans), "sampling") if plans else None


def _of_arms(spec: AnalysisSpec, committed: Committed, seen: Seen) -> dict[str, list[Item]]:
    """Successes of the arms that are proposals, where the reference is not shown to reach at K_probe.

    By what any candidate shows at least.
    """
    wanted = {arm.name: _successes(committed, arm.name) for arm in spec.proposing}
    if not any(wanted.values()):
        return {}
    still_open = {
        prompt.index
        for own, prompts in seen.values()
        for prompt in prompts
        if assess_reference(own, prompt).probe.label != "in"
    }
    return {stream: [one for one in found if one[0] in still_open] for stream, found in wanted.items()}


def _of_candidates(seen: Seen) -> dict[str, list[Item]]:
    """What each candidate succeeded with in rounds that count."""
    return {
        stream: [(prompt.index, index, index + 1) for prompt in prompts for index in prompt.unread]
        for stream, (_, prompts) in seen.items()
        if stream != REFERENCE
    }


def _successes(committed: Committed, stream: str) -> list[Item]:
    """Every success of an arm as a range of its own, in order."""
    mine = (pc.field("stream") == stream) & (pc.field("outcome") == "correct")
    rows = committed.outcomes.filter(mine)
    pairs = zip(rows["prompt_index"].to_pylist(), rows["index"].to_pylist(), strict=True)
    return [(prompt, index, index + 1) for prompt, index in pairs]


def _by_prompt(items: Sequence[Item]) -> dict[int, list[Item]]:
    found: dict[int, list[Item]] = {}
    for item in items:
        found.setdefault(item[0], []).append(item)
    return found


def _held(source: Mapping[str, Any], stream: str, wanted: Mapping[int, Sequence[Item]]) -> tuple[Item, ...]:
    """The samples among those wanted that one shard drew."""
    drawn = coverage([source], "sample", stream, None)
    return tuple(
        item
        for prompt, ranges in drawn.items()
        for item in wanted.get(prompt, ())
        if any(low <= item[1] < high for low, high in ranges)
    )
