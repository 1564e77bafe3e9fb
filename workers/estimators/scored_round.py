"""Scored draws of one prompt: which proposal drew them, and their density under each.

A *proposal* is any normalised distribution that was drawn from and whose log-density is known at every listed
draw: the reference p itself, the candidate, a checkpoint, the reference with a few-shot prefix or at another
temperature (then with that arm's own density). Draws are weighted by the balance heuristic of their round
(Veach & Guibas 1995).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workers.numerics.checks import BoolVector, FloatVector, IntVector, mask, vector

FloatMatrix = NDArray[np.float64]

REFERENCE: Final = "reference"
CANDIDATE: Final = "candidate"


def balance_log_weights(log_p: ArrayLike, log_proposals: ArrayLike, sizes: Sequence[int]) -> FloatVector:
    """``log w`` in nats, ``w = p / (sum_j n_j q_j / N)``, N the sum of the n_j: -inf where p is zero.

    If p is one of the proposals, w is at most N/n_p everywhere.

    Args:
        log_p: Log-density of each draw under the reference, -inf allowed. Shape ``(m,)``.
        log_proposals: The same under each proposal. Shape ``(J, m)``.
        sizes: Draws n_j of each proposal in the round, those not listed included. Length J.

    Raises:
        ValueError: Shapes that differ, no draws, or a draw that no proposal could have made.
    """
    p = vector(log_p, "log_p")
    q = np.array(log_proposals, dtype=np.float64)
    if q.shape != (len(sizes), p.size) or min(sizes, default=0) < 0 or sum(sizes) == 0:
        raise ValueError("needs one density per draw and proposal, and at least one draw")
    if np.isnan(q).any() or np.isposinf(q).any():
        raise ValueError("log_proposals must not hold NaN or +inf")
    log_sizes = np.array([math.log(size) if size else -math.inf for size in sizes])
    mixture = np.logaddexp.reduce(log_sizes[:, None] + q, axis=0)
    if np.isneginf(mixture).any():
        raise ValueError("a draw has probability zero under every proposal that was drawn from")
    weights: FloatVector = math.log(sum(sizes)) + p - mixture
    return weights


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredRound:
    """The draws of one round, of sizes fixed before the round.

    Draws that are not listed count as failures; successes are listed, failures may be. It is evidence
    that the reference *reaches* C, and no function that makes an upper end or an ``out`` accepts one.

    Attributes:
        proposals: Names of the proposals. Length J.
        sizes: Draws n_j of each, unlisted ones included; 0 is allowed. Length J.
        log_p: Log-density under the reference, nats. Shape ``(m,)``.
        log_proposals: Log-density under each proposal, nats. Shape ``(J, m)``.
        is_correct: Whether the draw succeeded. Shape ``(m,)``.
        drawn_by: Which proposal drew it, an index into `proposals`. Shape ``(m,)``.
        successes_only: Whether the draws were judged first and failures went unscored on purpose. What is
            listed is then no sample of any proposal: nothing may be averaged over it but ``w 1_C``.
        unscored: Successes that are not listed because nobody scored them. They count as failures, which can
            only lower bounds; points are not made of such a round.
        success_log_weights: ``log w`` of the successes, by this round's own sizes. Shape ``(successes,)``.

    Raises:
        ValueError: Shapes or names that contradict each other, more draws listed than made, a draw with
            density zero under the proposal that drew it, or a proposal named ``reference`` that is not p.
    """

    proposals: tuple[str, ...]
    sizes: tuple[int, ...]
    log_p: FloatVector
    log_proposals: FloatMatrix
    is_correct: BoolVector
    drawn_by: IntVector
    successes_only: bool = False
    unscored: int = 0
    success_log_weights: FloatVector = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check, and copy, the arrays."""
        p, correct = vector(self.log_p, "log_p"), mask(self.is_correct, "is_correct")
        q = np.array(self.log_proposals, dtype=np.float64)
        drawn = np.array(self.drawn_by, dtype=np.int64)
        if len(set(self.proposals)) != len(self.proposals) or len(self.sizes) != len(self.proposals):
            raise ValueError("proposals have names of their own, and one size each")
        if not (p.shape == correct.shape == drawn.shape and q.shape == (len(self.proposals), p.size)):
            raise ValueError("the arrays of a round have one shape")
        if sum(self.sizes) == 0 or min(self.sizes) < 0:
            raise ValueError("a round made at least one draw, and no negative number of them")
        if drawn.size and not 0 <= drawn.min() <= drawn.max() < len(self.proposals):
            raise ValueError("drawn_by is an index into the proposals")
        if (np.bincount(drawn, minlength=len(self.sizes)) > self.sizes).any():
            raise ValueError("a round lists no more draws than it made")
        if np.isneginf(q[drawn, np.arange(p.size)]).any():
            raise ValueError("a draw has probability zero under the proposal that drew it")
        if REFERENCE in self.proposals and not np.array_equal(q[self.proposals.index(REFERENCE)], p):
            raise ValueError("the proposal named reference has the reference's density")
        for name, array in (("log_p", p), ("log_proposals", q), ("is_correct", correct), ("drawn_by", drawn)):
            object.__setattr__(self, name, array)
        weights = balance_log_weights(p[correct], q[:, correct], self.sizes)
        object.__setattr__(self, "success_log_weights", weights)

    @classmethod
    def of_pair(
        cls,
        log_p: ArrayLike,
        log_q: ArrayLike,
        is_correct: BoolVector,
        from_candidate: BoolVector,
        n_p: int,
        n_q: int,
        candidate: str = CANDIDATE,
    ) -> "ScoredRound":
        """The usual round: n_p draws of the reference and n_q of one candidate, each scored under both.

        Args:
            log_p: Log-density under the reference, nats. Shape ``(m,)``.
            log_q: Log-density under the candidate, nats. Shape ``(m,)``.
            is_correct: Whether the draw succeeded. Shape ``(m,)``.
            from_candidate: Whether the candidate drew it. Shape ``(m,)``.
            n_p: Draws of the reference, unlisted ones included; may be 0.
            n_q: Draws of the candidate, unlisted ones included; may be 0.
            candidate: Name of the candidate's proposal.
        """
        p, q = vector(log_p, "log_p"), vector(log_q, "log_q")
        if p.shape != q.shape:
            raise ValueError("the arrays of a round have one shape")
        return cls(
            proposals=(REFERENCE, candidate),
            sizes=(n_p, n_q),
            log_p=p,
            log_proposals=np.stack([p, q]),
            is_correct=is_correct,
            drawn_by=mask(from_candidate, "from_candidate").astype(np.int64),
        )

    @property
    def draws(self) -> int:
        """N, all draws of the round, failures included."""
        return sum(self.sizes)

    @property
    def is_unselected(self) -> bool:
        """Whether every draw is listed, failures too: only then are the listed ones a sample."""
        return not self.successes_only and self.log_p.size == self.draws

    @property
    def successes(self) -> int:
        """Successes, scored or not."""
        return int(self.is_correct.sum()) + self.unscored

    def success_drawn_by(self) -> IntVector:
        """Which proposal drew each success. Shape ``(successes,)``."""
        drawn: IntVector = self.drawn_by[self.is_correct]
        return drawn


def pool(rounds: Sequence[ScoredRound]) -> tuple[ScoredRound, ...]:
    """Rounds of the same proposals as one, for whole-run points (MBAR with known constants).

    Shirts & Chodera (2008) with every normaliser known: ``a^ = sum over successes of p / sum_j N_j q_j``.
    Rounds of other proposals stay apart, since a draw's density under a proposal that did not score it is
    unknown. Never for bounds: sizes decided along the way make the mean only nearly unbiased.

    Raises:
        ValueError: No rounds.
    """
    if not rounds:
        raise ValueError("there is no round to pool")
    groups: dict[tuple[str, ...], list[ScoredRound]] = {}
    for part in rounds:
        groups.setdefault(part.proposals, []).append(part)
    return tuple(parts[0] if len(parts) == 1 else _joined(parts) for parts in groups.values())


def _joined(parts: Sequence[ScoredRound]) -> ScoredRound:
    return ScoredRound(
        proposals=parts[0].proposals,
        sizes=tuple(sum(column) for column in zip(*(part.sizes for part in parts), strict=True)),
        log_p=np.concatenate([part.log_p for part in parts]),
        log_proposals=np.concatenate([part.log_proposals for part in parts], axis=1),
        is_correct=np.concatenate([part.is_correct for part in parts]),
        drawn_by=np.concatenate([part.drawn_by for part in parts]),
        successes_only=any(part.successes_only for part in parts),
        unscored=sum(part.unscored for part in parts),
    )
