"""From committed tables to what was observed about each prompt."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workers.estimators.scored_round import ScoredRound
from workers.estimators.scored_sources import Source
from workers.numerics.ragged import Ragged
from workers.pipelines.spec import CANDIDATE, REFERENCE, AnalysisSpec
from workers.pipelines.tables import ROUND, lists, of_stream

OUTCOME_NAMES = ("correct", "incorrect", "unparsed", "truncated", "verifier_error")
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


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


@dataclass(frozen=True, slots=True)
class PromptObservations:
    """Everything observed about one prompt.

    Attributes:
        index: Its place in the request.
        reference: The reference's own samples.
        candidate: The candidate's own samples; None without one.
        pair: The pilot scored both ways; None where scores are not comparable or not made.
        further_rounds: Scored draws of later rounds: evidence that the reference reaches the prompt, which
            multiplies with the pilot's.
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
    beside: tuple[Source, ...] = ()
    arms: Mapping[str, SideObservations] = field(default_factory=dict)
    pilot_round: ScoredRound | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Weight the pilot's draws once: every look at the evidence takes them."""
        pair, made = self.pair, None
        if pair is not None:
            made = ScoredRound.of_pair(
                pair.log_p, pair.log_q, pair.correct, pair.is_candidate, pair.n_p, pair.n_q, CANDIDATE
            )
        object.__setattr__(self, "pilot_round", made)

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
        pair: ScoredPair | None = None
        further: tuple[ScoredRound, ...] = ()
        if CANDIDATE in sides and scored[REFERENCE][index].num_rows and scored[CANDIDATE][index].num_rows:
            pilots = {s: before(scored[s][index], spec.pilot(s, index)) for s in sides}
            pair = _pair({s: judged[s][index] for s in sides}, pilots)
            further = _further(judged[CANDIDATE][index], scored[CANDIDATE][index], pilots[CANDIDATE].num_rows)
        found.append(
            PromptObservations(
                index,
                sides[REFERENCE],
                sides.get(CANDIDATE),
                pair,
                further,
                beside=beside[index] if beside else (),
                arms=seen,
            )
        )
    return found


def by_prompt(table: pa.Table, stream: str, prompts: int) -> list[pa.Table]:
    """One slice a prompt; the table is sorted, so each is contiguous."""
    rows = of_stream(table, stream)
    edges = np.searchsorted(rows["prompt_index"].to_numpy(), np.arange(prompts + 1))
    return [rows.slice(low, high - low) for low, high in itertools.pairwise(edges)]


def _side(rows: pa.Table, pilot: int) -> SideObservations:
    outcome = pc.index_in(rows["outcome"], pa.array(OUTCOME_NAMES)).to_numpy()
    correct, unparsed, truncated, error = (
        outcome == OUTCOME_NAMES.index(name)
        for name in ("correct", "unparsed", "truncated", "verifier_error")
    )
    decided = ~error
    in_pilot = decided & (rows["index"].to_numpy() < pilot)
    counts = np.bincount(outcome, minlength=len(OUTCOME_NAMES)).tolist()
    return SideObservations(
        correct=correct[decided],
        pilot_n=int(in_pilot.sum()),
        pilot_unusable=(unparsed | truncated)[in_pilot],
        outcomes=dict(zip(OUTCOME_NAMES, counts, strict=True)),
        rewards=floats(rows, "reward")[decided],
        behaviours=_labels(_kept(rows, decided)),
    )


def _pair(judged: dict[str, pa.Table], scored: dict[str, pa.Table]) -> ScoredPair | None:
    kept = {stream: decided(judged[stream], scored[stream]) for stream in judged}
    (ref, ref_judged), (cand, cand_judged) = kept[REFERENCE], kept[CANDIDATE]
    if not ref.num_rows or not cand.num_rows:
        return None
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


def before(scored: pa.Table, size: int) -> pa.Table:
    """The scores of a pilot; those of later draws follow it."""
    return scored.slice(0, int(np.searchsorted(scored["index"].to_numpy(), size)))


def _further(judged: pa.Table, scored: pa.Table, pilot_rows: int) -> tuple[ScoredRound, ...]:
    """Candidate draws that were topped up and scored, round by round: rounds without reference draws."""
    later = scored.slice(pilot_rows)
    if not later.num_rows:
        return ()
    numbers = later[ROUND].unique().to_pylist()
    rounds = (decided(judged, later.filter(pc.field(ROUND) == number)) for number in sorted(numbers))
    return tuple(
        ScoredRound.of_pair(
            floats(rows, "logprob"),
            floats(rows, "own_logprob"),
            is_correct(outcomes),
            np.ones(rows.num_rows, dtype=np.bool_),
            0,
            rows.num_rows,
            CANDIDATE,
        )
        for rows, outcomes in rounds
        if rows.num_rows
    )


def decided(judged: pa.Table, scored: pa.Table) -> tuple[pa.Table, pa.Table]:
    """The scored samples that have a decided outcome, and their outcomes; both in sample order."""
    decided = _kept(judged, pc.not_equal(judged["outcome"], "verifier_error").to_numpy())
    drawn, found = decided["index"].to_numpy(), scored["index"].to_numpy()
    if np.array_equal(drawn, found):
        return scored, decided
    return _kept(scored, np.isin(found, drawn)), _kept(decided, np.isin(drawn, found))


def _kept(rows: pa.Table, chosen: Bools) -> pa.Table:
    """The chosen rows; the table itself where that is all of them."""
    return rows if chosen.all() else rows.filter(pa.array(chosen))


def is_correct(judged: pa.Table) -> Bools:
    """Which outcomes are successes. Shape `(n,)`."""
    return np.asarray(pc.equal(judged["outcome"], "correct").to_numpy(zero_copy_only=False), dtype=np.bool_)


def _labels(judged: pa.Table) -> tuple[str | None, ...]:
    return tuple(judged["behaviour"].to_pylist())


def floats(table: pa.Table, column: str) -> Floats:
    """A column of numbers. Shape `(n,)`."""
    return np.asarray(table[column].to_numpy(), dtype=np.float64)
