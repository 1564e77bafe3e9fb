"""Checkpoints of one run: each is seen as the candidate of an analysis that shares the reference."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from workers.estimators.scored_sources import Source
from workers.pipelines.committed import Committed
from workers.pipelines.observations import observe
from workers.pipelines.participants import Participant
from workers.pipelines.plan import RoundPlan, plan_more, plan_next
from workers.pipelines.proposals import proposal_rounds
from workers.pipelines.shards import FINALISE
from workers.pipelines.spec import CANDIDATE, REFERENCE, AnalysisSpec
from workers.pipelines.success_scoring import Seen, Shards, plan_success_scores
from workers.pipelines.topup import wanted_samples


@dataclass(frozen=True, slots=True)
class CheckpointView:
    """One checkpoint against the reference, as a capability analysis sees it.

    Attributes:
        spec: The analysis with this checkpoint alone, as its candidate.
        participants: The two models.
        committed: The reference's rows, and the checkpoint's as the candidate's.
    """

    spec: AnalysisSpec
    participants: dict[str, Participant]
    committed: Committed


def checkpoint_view(
    spec: AnalysisSpec, participants: Mapping[str, Participant], committed: Committed, stream: str
) -> CheckpointView:
    """See one checkpoint of a trajectory as the candidate.

    Args:
        spec: The trajectory.
        participants: Models by side.
        committed: All its rows.
        stream: The checkpoint's stream.
    """
    own = spec.streams[stream]
    others = {name: one for name, one in spec.streams.items() if name not in spec.checkpoints}
    seen = {REFERENCE: others.pop(REFERENCE), CANDIDATE: replace(own, name=CANDIDATE, participant=CANDIDATE)}
    return CheckpointView(
        spec=replace(
            spec,
            kind="capability",
            streams={**seen, **others},
            steps=(),
            score_neighbours=False,
            comparisons=len(spec.checkpoints),
        ),
        participants={REFERENCE: participants[REFERENCE], CANDIDATE: participants[stream]},
        committed=Committed(
            samples=_as_candidate(committed.samples, spec, stream),
            outcomes=_as_candidate(committed.outcomes, spec, stream),
            scores=_scores_as_candidate(committed.scores, spec, stream),
            drawn={
                **{name: counts for name, counts in committed.drawn.items() if name in (REFERENCE, *others)},
                CANDIDATE: committed.drawn[stream],
            },
            beside=_beside(spec, committed, stream),
        ),
    )


def plan_following(
    spec: AnalysisSpec,
    participants: Mapping[str, Participant],
    committed: Committed,
    inputs: Shards,
    failures: Shards,
    *,
    sampled_tokens: int,
    shard_tokens: int,
) -> RoundPlan:
    """The round after a finished one, of any analysis: what was judged is scored before more is drawn.

    Of a trajectory, the reference gets what the checkpoint that claims most asks for: its draws serve all.

    Args:
        spec: The analysis, audited where it has an audit.
        participants: Models by side.
        committed: What is committed; samples may be missing.
        inputs: Committed shards, with their `shard_id`.
        failures: Shards that were given up.
        sampled_tokens: New tokens drawn so far.
        shard_tokens: New tokens a shard may draw at most.
    """
    seen = _seen(spec, participants, committed)
    scores = plan_success_scores(spec, participants, committed, seen, inputs, failures)
    if scores is not None:
        return scores
    limits = {"sampled_tokens": sampled_tokens, "shard_tokens": shard_tokens}
    if not spec.checkpoints:
        ((_, prompts),) = seen.values()
        return plan_next(spec, participants, prompts, committed.drawn, **limits)
    if not spec.budget.adaptive:
        return RoundPlan((FINALISE,), "estimating")
    more = {stream: [0] * len(spec.prompts) for stream in spec.streams}
    for stream, (own, prompts) in seen.items():
        drawn = {**committed.drawn, CANDIDATE: committed.drawn[stream]}
        wanted = wanted_samples(own, prompts, {name: drawn[name] for name in own.streams})
        more[stream] = wanted.pop(CANDIDATE)
        for shared, counts in wanted.items():
            more[shared] = [max(pair) for pair in zip(more[shared], counts, strict=True)]
    return plan_more(spec, participants, more, committed.drawn, **limits)


def _seen(spec: AnalysisSpec, participants: Mapping[str, Participant], committed: Committed) -> Seen:
    """What each candidate's comparison with the reference shows, by its stream."""
    if not spec.checkpoints:
        whole = observe(spec, committed.outcomes, committed.scores, committed.beside)
        return {CANDIDATE if CANDIDATE in spec.sides else REFERENCE: (spec, whole)}
    found = {}
    for stream in spec.checkpoints:
        view = checkpoint_view(spec, participants, committed, stream)
        rows = view.committed
        found[stream] = view.spec, observe(view.spec, rows.outcomes, rows.scores, rows.beside)
    return found


def _beside(spec: AnalysisSpec, committed: Committed, stream: str) -> tuple[tuple[Source, ...], ...]:
    """The other checkpoints' pilots and the arms, by prompt; none unless the request shares proposals."""
    if not spec.share_proposals:
        return ()
    arms = committed.beside or ((),) * len(spec.prompts)
    found = [
        proposal_rounds(committed.outcomes, committed.scores, one, spec.pilots(one))
        for one in spec.checkpoints
        if one != stream
    ]
    pilots = zip(*found, strict=True) if found else ((),) * len(spec.prompts)
    return tuple(
        (*((one,) for one in rounds if one), *mine) for rounds, mine in zip(pilots, arms, strict=True)
    )


def _as_candidate(table: pa.Table, spec: AnalysisSpec, stream: str) -> pa.Table:
    """Rows of one checkpoint, renamed, and of everything that is no checkpoint."""
    others = [name for name in spec.checkpoints if name != stream]
    return _renamed(table.filter(~pc.field("stream").isin(pa.array(others, pa.string()))), "stream", stream)


def _scores_as_candidate(scores: pa.Table, spec: AnalysisSpec, stream: str) -> pa.Table:
    both, arms = (
        pa.array(names, pa.string()) for names in ([stream, REFERENCE], [arm.name for arm in spec.proposing])
    )
    pair = pc.field("stream").isin(both) & pc.field("scorer").isin(both)
    kept = scores.filter(pair | pc.field("stream").isin(arms))
    return _renamed(_renamed(kept, "stream", stream), "scorer", stream)


def _renamed(table: pa.Table, column: str, stream: str) -> pa.Table:
    """The checkpoint's stream under the candidate's name; the order of rows stays that of streams."""
    place = table.schema.get_field_index(column)
    names = pc.if_else(pc.equal(table[column], stream), CANDIDATE, table[column])
    return table.set_column(place, table.schema.field(column), names.cast(pa.string()))
