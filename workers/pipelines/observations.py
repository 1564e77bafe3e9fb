"""From committed tables to what was observed about each prompt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workers.estimators.scored_round import ScoredRound
from workers.estimators.scored_sources import Source
from workers.numerics.ragged import Ragged
from workers.pipelines.later_rounds import LaterRounds, later_rounds
from workers.pipelines.prompt_tables import (
    Bools,
    Floats,
    before,
    by_prompt,
    decided,
    floats,
    is_correct,
    is_in,
    kept,
)
from workers.pipelines.spec import CANDIDATE, REFERENCE, AnalysisSpec
from workers.pipelines.tables import lists

OUTCOME_NAMES = ("correct", "incorrect", "unparsed", "truncated", "verifier_error")


@dataclass(frozen=True, slots=True)
class SideObservations:
    """The judged samples of one prompt on one side, in sample order.

    Attributes:
        correct: Success of each decided sample. Shape `(n,)`; verifier errors are left out.
        pilot_n: How many of them belong to the fixed pilot; they come first.
        pilot_unusable: Which pilot samples are truncated or unparsed. Shape `(pilot_n,)`.
        outcomes: Count of each outcome over all samples, verifier errors included.
        rewards: r(x, y) of each decided sample: 0 or 1 unless the signal is dense. Shape `(n,)`.
        behaviours: g(y) of each decided sample; None where it is no success or has no label. Length `n`.
    """

    correct: Bools
    pilot_n: int
    pilot_unusable: Bools
    outcomes: dict[str, int]
    rewards: Floats
    behaviours: tuple[str | None, ...]

    @property
    def n(self) -> int:
        """Decided samples."""
        return int(self.correct.size)

    @property
    def successes(self) -> int:
        """Successes among all decided samples."""
        return int(self.correct.sum())

    @property
    def pilot(self) -> Bools:
        """Success of each pilot sample. Shape `(pilot_n,)`."""
        return self.correct[: self.pilot_n]

    @property
    def pilot_successes(self) -> int:
        """Successes of the pilot."""
        return int(self.pilot.sum())


@dataclass(frozen=True, slots=True)
class ScoredPair:
    """Pilot samples of one prompt scored under both models, reference draws first; nats.

    Attributes:
        log_p: log p(y) under the reference; -inf outside its support. Shape `(n_p + n_q,)`.
        log_q: log q(y) under the candidate; -inf outside its support. Shape `(n_p + n_q,)`.
        correct: Success of each sample. Shape `(n_p + n_q,)`.
        rewards: r(x, y) of each sample. Shape `(n_p + n_q,)`.
        behaviours: g(y) of each sample; None where it is no success or has no label. Length `n_p + n_q`.
        n_p: Reference draws.
        kl: Sum over tokens of KL(q_t || p_t) along each candidate draw. Shape `(n_q,)`.
        token_kl: The same by token. One row a candidate draw.
        reverse_kl: Sum over tokens of KL(p_t || q_t) along each reference draw. Shape `(n_p,)`.
        reverse_token_kl: The same by token. One row a reference draw.
        entropy_p: Sum over tokens of the reference's entropy along each of its draws. Shape `(n_p,)`.
        entropy_q: The same for the candidate. Shape `(n_q,)`.
        zero_cause: Why p(y) = 0, for each candidate draw; empty where it is not. Length `n_q`.
        max_token_diff: Largest difference between a stored and a recomputed token log-probability.
    """

    log_p: Floats
    log_q: Floats
    correct: Bools
    rewards: Floats
    behaviours: tuple[str | None, ...]
    n_p: int
    kl: Floats
    token_kl: Ragged
    reverse_kl: Floats
    reverse_token_kl: Ragged
    entropy_p: Floats
    entropy_q: Floats
    zero_cause: tuple[str, ...]
    max_token_diff: float

    @property
    def n_q(self) -> int:
        """Candidate draws."""
        return int(self.log_p.size) - self.n_p

    @property
    def candidate_log_ratio(self) -> Floats:
        """Log q - log p of the candidate's draws. Shape `(n_q,)`."""
        return self.log_q[self.n_p :] - self.log_p[self.n_p :]

    @property
    def reference_log_ratio(self) -> Floats:
        """Log p - log q of the reference's draws. Shape `(n_p,)`."""
        return self.log_p[: self.n_p] - self.log_q[: self.n_p]

    @property
    def is_candidate(self) -> Bools:
        """Which draws are the candidate's. Shape `(n_p + n_q,)`."""
        return np.arange(self.log_p.size) >= self.n_p

    def as_round(self) -> ScoredRound:
        """The same draws as the first round of evidence."""
        return ScoredRound.of_pair(
            self.log_p, self.log_q, self.correct, self.is_candidate, self.n_p, self.n_q, CANDIDATE
        )


@dataclass(frozen=True, slots=True)
class PromptObservations:
    """Everything observed about one prompt.

    Attributes:
        index: Its place in the request.
        reference: The reference's own samples.
        candidate: The candidate's own samples; None without one.
        pair: The whole pilot scored both ways, whatever its outcomes: averages over draws are taken here and
            nowhere else. None where scores are not comparable or not all made.
        further_rounds: Draws of later rounds, successes alone scored: evidence that the reference reaches the
            prompt, which multiplies with the pilot's.
        unread: Samples of the candidate that are successes of those rounds and not scored yet.
        beside: Scored draws of other proposals: other checkpoints, elicitation arms. They may share random
            numbers with all the rest, so their evidence is averaged with it.
        arms: Samples of the reference under each arm, by stream; empty where none was drawn.
        pilot_round: The draws of `pair` as the first round of evidence; None without it.
    """

    index: int
    reference: SideObservations
    candidate: SideObservations | None
    pair: ScoredPair | None
    further_rounds: tuple[ScoredRound, ...] = ()
    unread: tuple[int, ...] = ()
    beside: tuple[Source, ...] = ()
    arms: Mapping[str, SideObservations] = field(default_factory=dict)
    pilot_round: ScoredRound | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Weight the pilot's draws once: every look at the evidence takes them."""
        object.__setattr__(self, "pilot_round", None if self.pair is None else self.pair.as_round())

    def stream(self, name: str) -> SideObservations | None:
        """The samples of a side or an arm, by its stream; None where the analysis has no such stream."""
        return {REFERENCE: self.reference, CANDIDATE: self.candidate, **self.arms}.get(name)


def observe(
    spec: AnalysisSpec,
    outcomes: pa.Table,
    scores: pa.Table,
    beside: Sequence[tuple[Source, ...]] = (),
) -> list[PromptObservations]:
    """Observations of every prompt, in prompt order.

    Args:
        spec: The analysis.
        outcomes: All outcomes, sorted by stream, prompt and sample.
        scores: All scores, sorted likewise; empty where nothing was scored.
        beside: Other proposals, by prompt; none by default.
    """
    judged = {stream: by_prompt(outcomes, stream, len(spec.prompts)) for stream in spec.streams}
    scored = {stream: by_prompt(scores, stream, len(spec.prompts)) for stream in spec.sides}
    found = []
    for index in range(len(spec.prompts)):
        seen = {s: _side(judged[s][index], spec.pilot(s, index)) for s in spec.reaching}
        sides = {stream: seen.pop(stream) for stream in spec.sides}
        pair, later = None, LaterRounds()
        if CANDIDATE in sides:
            pilots = {stream: spec.pilot(stream, index) for stream in sides}
            whole = {stream: (judged[stream][index], scored[stream][index]) for stream in sides}
            pair = _pair(
                {
                    stream: [before(rows, pilots[stream]) for rows in tables]
                    for stream, tables in whole.items()
                }
            )
            if pair is not None and whole[CANDIDATE][0].num_rows > pair.n_q:
                later = later_rounds(spec, pair.as_round(), *whole[CANDIDATE], pilots[CANDIDATE])
        found.append(
            PromptObservations(
                index,
                sides[REFERENCE],
                sides.get(CANDIDATE),
                pair,
                later.counted,
                later.unread,
                beside=beside[index] if beside else (),
                arms=seen,
            )
        )
    return found


def _side(rows: pa.Table, pilot: int) -> SideObservations:
    outcome = pc.index_in(rows["outcome"], pa.array(OUTCOME_NAMES)).to_numpy()
    correct, unparsed, truncated, error = (
        outcome == OUTCOME_NAMES.index(name)
        for name in ("correct", "unparsed", "truncated", "verifier_error")
    )
    usable = ~error
    in_pilot = usable & (rows["index"].to_numpy() < pilot)
    counts = np.bincount(outcome, minlength=len(OUTCOME_NAMES)).tolist()
    return SideObservations(
        correct=correct[usable],
        pilot_n=int(in_pilot.sum()),
        pilot_unusable=(unparsed | truncated)[in_pilot],
        outcomes=dict(zip(OUTCOME_NAMES, counts, strict=True)),
        rewards=floats(rows, "reward")[usable],
        behaviours=_labels(kept(rows, usable)),
    )


def _pair(pilots: Mapping[str, Sequence[pa.Table]]) -> ScoredPair | None:
    """Outcomes and scores of both pilots as a pair; None unless every decided draw of both was scored."""
    if not all(rows.num_rows for _, rows in pilots.values()):
        return None
    judged = {stream: decided(outcomes) for stream, (outcomes, _) in pilots.items()}
    scored = {stream: kept(rows, is_in(rows, judged[stream])) for stream, (_, rows) in pilots.items()}
    if any(not rows.num_rows or rows.num_rows < judged[stream].num_rows for stream, rows in scored.items()):
        return None
    ref, ref_judged = scored[REFERENCE], judged[REFERENCE]
    cand, cand_judged = scored[CANDIDATE], judged[CANDIDATE]
    return ScoredPair(
        log_p=np.concatenate([floats(ref, "own_logprob"), floats(cand, "logprob")]),
        log_q=np.concatenate([floats(ref, "logprob"), floats(cand, "own_logprob")]),
        correct=np.concatenate([is_correct(ref_judged), is_correct(cand_judged)]),
        rewards=np.concatenate([floats(ref_judged, "reward"), floats(cand_judged, "reward")]),
        behaviours=_labels(ref_judged) + _labels(cand_judged),
        n_p=ref.num_rows,
        kl=floats(cand, "kl"),
        token_kl=Ragged(*lists(cand["token_kl"])),
        reverse_kl=floats(ref, "kl"),
        reverse_token_kl=Ragged(*lists(ref["token_kl"])),
        entropy_p=floats(ref, "entropy"),
        entropy_q=floats(cand, "entropy"),
        zero_cause=tuple(cand["zero_cause"].to_pylist()),
        max_token_diff=float(max(floats(ref, "max_token_diff").max(), floats(cand, "max_token_diff").max())),
    )


def _labels(judged: pa.Table) -> tuple[str | None, ...]:
    return tuple(judged["behaviour"].to_pylist())
