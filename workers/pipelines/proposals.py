"""Samples that other models or other arms drew, as evidence that the reference reaches a prompt.

A draw of any proposal whose density is known shows reach once the reference scored it, under the policy and
the prompt of the analysis: its weight is p(y)/pi(y), pi the law that drew it. Only successes need a score.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workers.estimators.scored_round import ScoredRound
from workers.estimators.scored_sources import Source
from workers.pipelines.later_rounds import split_rounds, success_round
from workers.pipelines.prompt_tables import before, by_prompt, decided, floats, is_correct, is_in, kept
from workers.pipelines.spec import REFERENCE, AnalysisSpec


def proposal_rounds(
    outcomes: pa.Table, scores: pa.Table, stream: str, pilots: Sequence[int]
) -> list[ScoredRound | None]:
    """One stream's pilots as rounds of their own, by prompt; None where the reference scored nothing.

    Args:
        outcomes: All outcomes, sorted by stream, prompt and sample.
        scores: All scores, sorted likewise.
        stream: Who drew.
        pilots: Size of each prompt's pilot. Shape ``(M,)``.
    """
    judged = by_prompt(outcomes, stream, len(pilots))
    scored = by_prompt(scores.filter(pc.field("scorer") == REFERENCE), stream, len(pilots))
    return [
        _whole_round(stream, decided(before(mine, pilot)), before(theirs, pilot))
        for mine, theirs, pilot in zip(judged, scored, pilots, strict=True)
    ]


def arm_sources(spec: AnalysisSpec, outcomes: pa.Table, scores: pa.Table) -> tuple[tuple[Source, ...], ...]:
    """A source for every arm that is a proposal, by prompt, drawn or not: which there are is the request's.

    Args:
        spec: The analysis.
        outcomes: All outcomes with their rounds, sorted by stream, prompt and sample.
        scores: All scores, sorted likewise; of the arms' samples only successes have one.

    Returns:
        One tuple a prompt; empty where no arm is a proposal. A round is what was planned at once, whose size
        nothing in it could change.
    """
    if not spec.proposing:
        return ()
    found = [_arm_source(spec, arm.name, outcomes, scores) for arm in spec.proposing]
    return tuple(zip(*found, strict=True))


def anew(
    spec: AnalysisSpec,
    beside: Sequence[tuple[Source, ...]],
    outcomes: pa.Table,
    scores: pa.Table,
) -> tuple[tuple[Source, ...], ...]:
    """The proposals of every prompt with those of arms judged by other outcomes; see `arm_sources`."""
    names = {arm.name for arm in spec.proposing}
    arms = arm_sources(spec, outcomes, scores)
    if not arms:
        return tuple(beside)
    # A proposal of another kind is one round at least; an arm that was not drawn is none.
    others = (
        [source for source in mine if source and source[0].proposals[0] not in names] for mine in beside
    )
    return tuple((*rest, *mine) for rest, mine in zip(others, arms, strict=True))


def _arm_source(spec: AnalysisSpec, stream: str, outcomes: pa.Table, scores: pa.Table) -> list[Source]:
    count = len(spec.prompts)
    judged = by_prompt(outcomes, stream, count)
    scored = by_prompt(scores.filter(pc.field("scorer") == REFERENCE), stream, count)
    return [
        tuple(success_round(stream, one, theirs) for one in split_rounds(decided(mine)))
        for mine, theirs in zip(judged, scored, strict=True)
    ]


def _whole_round(stream: str, judged: pa.Table, scored: pa.Table) -> ScoredRound | None:
    """A pilot; of one that was not scored as a whole, the successes that were, others counting as failures.

    None where nothing was scored.
    """
    if not scored.num_rows or not judged.num_rows:
        return None
    rows = kept(scored, is_in(scored, judged))
    if rows.num_rows < judged.num_rows:
        return success_round(stream, judged, scored)
    return ScoredRound(
        proposals=(stream,),
        sizes=(rows.num_rows,),
        log_p=floats(rows, "logprob"),
        log_proposals=floats(rows, "own_logprob")[None, :],
        is_correct=is_correct(judged),
        drawn_by=np.zeros(rows.num_rows, dtype=np.int64),
    )
