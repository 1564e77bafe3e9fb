"""Rounds of draws that were judged first and scored then: successes alone are read.

A failure weighs nothing whatever its score, so a round bets with all its draws while only its successes are
read; a success that nobody has read counts as a failure, which can only lower the wealth. The rounds that
count are told by what was seen before them, never by what they hold: a rule that kept those with a success
would drop the ones that lost their bet.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from workers.estimators.betting import draws_to_settle
from workers.estimators.counts import epsilon
from workers.estimators.importance import refuses
from workers.estimators.scored_round import ScoredRound
from workers.estimators.verifier_noise import accepted_thresholds
from workers.pipelines.class_targets import scored_log_target_in
from workers.pipelines.prompt_tables import after, decided, floats, is_correct, is_in, kept
from workers.pipelines.spec import CANDIDATE, REFERENCE, AnalysisSpec
from workers.pipelines.tables import ROUND


@dataclass(frozen=True, slots=True)
class LaterRounds:
    """What a candidate drew of one prompt beyond its pilot, as evidence that the reference reaches it.

    Attributes:
        counted: The rounds that count, in order.
        unread: Sample indices of their successes that the reference has not scored.
    """

    counted: tuple[ScoredRound, ...] = ()
    unread: tuple[int, ...] = ()


def later_rounds(
    spec: AnalysisSpec, pilot: ScoredRound, judged: pa.Table, scored: pa.Table, pilot_size: int
) -> LaterRounds:
    """The later rounds of one candidate and prompt.

    Args:
        spec: The analysis, audited where it has an audit.
        pilot: Both sides' pilots as the first round.
        judged: The candidate's outcomes of this prompt, with the round of each.
        scored: The reference's scores of the same samples.
        pilot_size: Samples of the candidate's pilot.
    """
    rows = after(decided(judged), pilot_size)
    if not rows.num_rows:
        return LaterRounds()
    drawn = split_rounds(rows)
    rounds = [success_round(CANDIDATE, one, scored) for one in drawn]
    chosen = which_count(spec, pilot, rounds)
    unread = [
        index for one, counts in zip(drawn, chosen, strict=True) if counts for index in _unread(one, scored)
    ]
    return LaterRounds(
        tuple(one for one, counts in zip(rounds, chosen, strict=True) if counts), tuple(sorted(unread))
    )


def which_count(spec: AnalysisSpec, pilot: ScoredRound, later: Sequence[ScoredRound]) -> list[bool]:
    """Which later rounds of a candidate are evidence of reach: each told by those before it.

    A round counts if the candidate had succeeded before it (a loss is certified by counts, without a success)
    and if fewer than K_probe successes were there to be read or the scores so far promise to show reach. Of
    fewer reads no forecast is believed: a weak candidate without luck looks like one that sees nothing.

    Args:
        spec: The analysis, audited where it has an audit.
        pilot: Both sides' pilots as the first round.
        later: Every later round of the candidate, in order.

    Returns:
        One answer a round.
    """
    rounds, reads, found = [pilot], 0, []
    succeeded = bool((pilot.is_correct & (pilot.drawn_by == pilot.proposals.index(CANDIDATE))).any())
    for one in later:
        counts = succeeded and (reads < spec.budget.k_probe or draws_to_show_reach(spec, rounds) is not None)
        if counts:
            rounds.append(one)
            reads += one.successes
        succeeded = succeeded or one.successes > 0
        found.append(counts)
    return found


def draws_to_show_reach(spec: AnalysisSpec, rounds: Sequence[ScoredRound]) -> int | None:
    """Candidate samples that are expected to show reach by their scores; None where none would.

    Args:
        spec: The analysis.
        rounds: Every finished round that counts, the pilot's first.
    """
    if not rounds or refuses(rounds):
        return None
    threshold = epsilon(spec.budget.k_probe, spec.thresholds.reach)
    for_in, _ = accepted_thresholds(spec.class_noise, threshold)
    return draws_to_settle(rounds, math.log(for_in), scored_log_target_in(spec))


def split_rounds(judged: pa.Table) -> list[pa.Table]:
    """Outcomes by the round in which their samples were drawn, in its order."""
    number = judged[ROUND].to_numpy()
    return [kept(judged, number == each) for each in np.unique(number)]


def success_round(stream: str, judged: pa.Table, scored: pa.Table) -> ScoredRound:
    """Draws of one stream and prompt as a round, of which the successes that were scored are listed.

    Args:
        stream: Who drew.
        judged: The decided outcomes of the round; their number is its size.
        scored: The reference's scores of the stream and prompt.
    """
    correct = is_correct(judged)
    listed = correct & is_in(judged, scored)
    rows = scored.filter(pa.array(np.isin(scored["index"].to_numpy(), judged["index"].to_numpy()[listed])))
    log_p, log_q, every = floats(rows, "logprob"), floats(rows, "own_logprob"), np.ones(rows.num_rows, bool)
    # Beside the pilot's proposals, so that the point pools them.
    beside = (REFERENCE,) if stream == CANDIDATE else ()
    return ScoredRound(
        proposals=(*beside, stream),
        sizes=(*(0 for _ in beside), judged.num_rows),
        log_p=log_p,
        log_proposals=np.stack([*(log_p for _ in beside), log_q]),
        is_correct=every,
        drawn_by=np.full(rows.num_rows, len(beside)),
        successes_only=True,
        unscored=int((correct & ~listed).sum()),
    )


def _unread(judged: pa.Table, scored: pa.Table) -> list[int]:
    unread: list[int] = judged["index"].to_numpy()[is_correct(judged) & ~is_in(judged, scored)].tolist()
    return unread
