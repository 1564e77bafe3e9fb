"""Samples that other models or other arms drew, as evidence that the reference reaches a prompt.

A draw of any proposal whose density is known shows reach once the reference scored it, under the policy and
the prompt of the analysis: its weight is p(y)/pi(y), pi the law that drew it. Only successes need a score.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workers.estimators.scored_round import ScoredRound
from workers.estimators.scored_sources import Source
from workers.pipelines.observations import before, by_prompt, decided, floats, is_correct
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
        _whole_round(stream, *decided(mine, before(theirs, pilot)))
        for mine, theirs, pilot in zip(judged, scored, pilots, strict=True)
    ]


def arm_sources(
    spec: AnalysisSpec, outcomes: pa.Table, scores: pa.Table, drawing: Sequence[Mapping[str, Any]]
) -> tuple[tuple[Source, ...], ...]:
    """A source for every arm that is a proposal, by prompt, drawn or not: which there are is the request's.

    Args:
        spec: The analysis.
        outcomes: All outcomes, sorted by stream, prompt and sample.
        scores: All scores, sorted likewise; of the arms' samples only successes have one.
        drawing: The committed shards that drew, with `stream`, `round` and `items`.

    Returns:
        One tuple a prompt; empty where no arm is a proposal. A round is what was planned at once, whose size
        nothing in it could change.
    """
    if not spec.proposing:
        return ()
    found = [_arm_source(spec, arm.name, outcomes, scores, drawing) for arm in spec.proposing]
    return tuple(zip(*found, strict=True))


def anew(
    spec: AnalysisSpec,
    beside: Sequence[tuple[Source, ...]],
    outcomes: pa.Table,
    scores: pa.Table,
    drawing: Sequence[Mapping[str, Any]],
) -> tuple[tuple[Source, ...], ...]:
    """The proposals of every prompt with those of arms judged by other outcomes; see `arm_sources`."""
    names = {arm.name for arm in spec.proposing}
    arms = arm_sources(spec, outcomes, scores, drawing)
    if not arms:
        return tuple(beside)
    # A proposal of another kind is one round at least; an arm that was not drawn is none.
    others = (
        [source for source in mine if source and source[0].proposals[0] not in names] for mine in beside
    )
    return tuple((*rest, *mine) for rest, mine in zip(others, arms, strict=True))


def _arm_source(
    spec: AnalysisSpec,
    stream: str,
    outcomes: pa.Table,
    scores: pa.Table,
    drawing: Sequence[Mapping[str, Any]],
) -> list[Source]:
    count = len(spec.prompts)
    judged = by_prompt(outcomes.filter(pc.field("outcome") != "verifier_error"), stream, count)
    scored = by_prompt(scores.filter(pc.field("scorer") == REFERENCE), stream, count)
    rounds = _round_of_each(count, [shard for shard in drawing if shard["stream"] == stream])
    return [
        _rounds(stream, mine, theirs, numbers)
        for mine, theirs, numbers in zip(judged, scored, rounds, strict=True)
    ]


def _round_of_each(prompts: int, drawing: Sequence[Mapping[str, Any]]) -> list[NDArray[np.int64]]:
    """The round in which each sample of each prompt was drawn; -1 where none was."""
    items = [(shard["round"], *item) for shard in drawing for item in shard["items"]]
    numbers = [np.full(max((i[3] for i in items if i[1] == p), default=0), -1) for p in range(prompts)]
    for number, prompt, low, high in items:
        numbers[prompt][low:high] = number
    return numbers


def _rounds(
    stream: str, judged: pa.Table, scored: pa.Table, numbers: NDArray[np.int64]
) -> tuple[ScoredRound, ...]:
    """One arm's draws of a prompt as rounds, the successes that were scored listed."""
    number = numbers[judged["index"].to_numpy()]
    correct, has_score = is_correct(judged), np.isin(judged["index"], scored["index"])
    found = []
    for each in np.unique(number):
        inside = number == each
        listed = inside & correct & has_score
        rows = scored.filter(pa.array(np.isin(scored["index"], judged["index"].to_numpy()[listed])))
        found.append(
            ScoredRound(
                proposals=(stream,),
                sizes=(int(inside.sum()),),
                log_p=floats(rows, "logprob"),
                log_proposals=floats(rows, "own_logprob")[None, :],
                is_correct=np.ones(rows.num_rows, dtype=np.bool_),
                drawn_by=np.zeros(rows.num_rows, dtype=np.int64),
                unscored=int((inside & correct & ~has_score).sum()),
            )
        )
    return tuple(found)


def _whole_round(stream: str, rows: pa.Table, judged: pa.Table) -> ScoredRound | None:
    if not rows.num_rows:
        return None
    return ScoredRound(
        proposals=(stream,),
        sizes=(rows.num_rows,),
        log_p=floats(rows, "logprob"),
        log_proposals=floats(rows, "own_logprob")[None, :],
        is_correct=is_correct(judged),
        drawn_by=np.zeros(rows.num_rows, dtype=np.int64),
    )
