"""The reference's word on what its arms drew: successes alone, and only where reach is still open."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow.compute as pc

from workers.pipelines.assessment import assess_reference
from workers.pipelines.checkpoints import checkpoint_view
from workers.pipelines.committed import Committed
from workers.pipelines.extension import coverage, without
from workers.pipelines.observations import observe
from workers.pipelines.participants import Participant
from workers.pipelines.plan import RoundPlan, model_keys
from workers.pipelines.shards import Item, ShardPlan
from workers.pipelines.spec import REFERENCE, AnalysisSpec

Shards = Sequence[Mapping[str, Any]]


def plan_arm_scores(
    spec: AnalysisSpec,
    participants: Mapping[str, Participant],
    committed: Committed,
    inputs: Shards,
    failures: Shards,
) -> RoundPlan | None:
    """The round that scores what arms succeeded with; None if nothing is left to score.

    It draws nothing: what it shows may spare the draws that would follow. Failures need no score, and where
    the reference is `in` already there is nothing to show. Which successes are scored may depend on anything,
    since one that is not counts as a failure.

    Args:
        spec: The analysis, audited where it has an audit.
        participants: Models by stream.
        committed: What is committed; samples may be missing.
        inputs: Committed shards, with their `shard_id`.
        failures: Shards that were given up: they are not tried again.
    """
    wanted = {arm.name: _successes(committed, arm.name) for arm in spec.proposing}
    if not any(wanted.values()):
        return None
    still_open = _open_prompts(spec, participants, committed)
    key = model_keys(spec, participants)[REFERENCE]
    plans: list[ShardPlan] = []
    for stream, successes in wanted.items():
        scored = coverage((*inputs, *failures), "score", stream, REFERENCE)
        unscored = without((one for one in successes if one[0] in still_open), scored)
        for source in inputs:
            if (source["work"], source["stream"]) == ("sample", stream):
                drawn = coverage([source], "sample", stream, None)
                if items := tuple(one for one in unscored if _holds(drawn, one)):
                    plans.append(
                        ShardPlan(
                            len(plans), "score", stream, REFERENCE, items, None, (key,), source["shard_id"]
                        )
                    )
    return RoundPlan(tuple(plans), "sampling") if plans else None


def _successes(committed: Committed, stream: str) -> list[Item]:
    """Every success of an arm as a range of its own, in order."""
    mine = (pc.field("stream") == stream) & (pc.field("outcome") == "correct")
    rows = committed.outcomes.filter(mine)
    pairs = zip(rows["prompt_index"].to_pylist(), rows["index"].to_pylist(), strict=True)
    return [(prompt, index, index + 1) for prompt, index in pairs]


def _holds(drawn: Mapping[int, Sequence[tuple[int, int]]], item: Item) -> bool:
    return any(low <= item[1] < high for low, high in drawn.get(item[0], ()))


def _open_prompts(
    spec: AnalysisSpec, participants: Mapping[str, Participant], committed: Committed
) -> frozenset[int]:
    """Prompts that the reference is not shown to reach at K_probe, by what any checkpoint shows at least."""
    views = [(spec, committed)]
    if spec.checkpoints:
        seen = (checkpoint_view(spec, participants, committed, stream) for stream in spec.checkpoints)
        views = [(view.spec, view.committed) for view in seen]
    return frozenset(
        prompt.index
        for own, rows in views
        for prompt in observe(own, rows.outcomes, rows.scores, rows.beside)
        if assess_reference(own, prompt).probe.label != "in"
    )
