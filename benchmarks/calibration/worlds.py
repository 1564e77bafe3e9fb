"""Laws small enough to enumerate: a completion is a pair of tokens, and every truth is a finite sum."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.estimators.scored_round import CANDIDATE, REFERENCE, ScoredRound
from workers.numerics.ragged import Ragged
from workers.pipelines.observations import PromptObservations, ScoredPair, SideObservations

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class World:
    """One prompt. Completions are pairs (i, j), flattened to i·v + j.

    Attributes:
        p: Law of the reference. Shape ``(v·v,)``.
        q: Law of the candidate. Shape ``(v·v,)``.
        correct: The correct set. Shape ``(v·v,)``.
        untruncated: Law of the reference without truncation, where its policy truncates. Shape ``(v·v,)``.
    """

    p: Floats
    q: Floats
    correct: Bools
    untruncated: Floats | None = None

    @property
    def a(self) -> float:
        """p(C)."""
        return math.fsum(self.p[self.correct])

    @property
    def b(self) -> float:
        """q(C)."""
        return math.fsum(self.q[self.correct])

    @property
    def kl(self) -> float:
        """KL(q‖p), nats."""
        return _kl(self.q, self.p)

    @property
    def reverse_kl(self) -> float:
        """KL(p‖q), nats."""
        return _kl(self.p, self.q)

    def terms(self, out: bool) -> tuple[float, float, float]:
        """Tilt, drift, escape in nats, O = C where the prompt is out of reach and empty elsewhere."""
        if not out:
            tilt = bernoulli_kl(self.b, self.a)
            return tilt, self.kl - tilt, 0.0
        a, b = self.a, self.b
        within = _kl(self.q[self.correct] / b, self.p[self.correct] / a) if b > 0 else 0.0
        escape = bernoulli_kl(b, a) + b * within
        return 0.0, self.kl - escape, escape

    def paths(self) -> tuple[Floats, Floats]:
        """Per completion, the two token-level KL(q_t‖p_t) and KL(p_t‖q_t). Shapes ``(v·v, 2)``."""
        return _token_kl(self.q, self.p), _token_kl(self.p, self.q)


def random_world(rng: np.random.Generator, *, low: float = 1e-3, v: int = 4) -> World:
    """A reference with a log-uniform on (low, 0.8), and a candidate that tilts it to b and drifts."""
    cells = v * v
    correct = np.zeros(cells, dtype=np.bool_)
    correct[rng.permutation(cells)[: int(rng.integers(1, 5))]] = True
    a = math.exp(rng.uniform(math.log(low), math.log(0.8)))
    p = _with_mass(rng.dirichlet(np.ones(cells)), correct, a)
    b = float(rng.uniform(0.03, 0.97))
    noise = np.exp(rng.choice([0.0, 0.3, 1.0]) * rng.standard_normal(cells))
    return World(p, _with_mass(p * noise, correct, b), correct)


def mode_world(a: float, b: float, *, covered: float = 1.0, spread: tuple[float, ...] = (0.0,)) -> World:
    """A correct set of modes, of which the candidate visits the first ones only.

    Args:
        a: p(C).
        b: q(C).
        covered: Share of p(C) that the candidate visits; 1 for a tilt.
        spread: Log-ratios of the candidate's modes about their mean, nats: one mode for each.
    """
    modes = len(spread)
    if modes > 6:
        raise ValueError("at most six modes in a world of nine completions")
    p, q = np.zeros(9), np.zeros(9)
    tilted = np.exp(-np.asarray(spread))
    p[:modes] = a * covered / modes
    q[:modes] = b * tilted / tilted.sum()
    p[modes] = a * (1 - covered)
    p[8], q[8] = 1 - a, 1 - b
    correct = np.arange(9) <= modes
    return World(p, q, correct)


def hidden_world(a: float, b: float) -> World:
    """A correct set that truncation removes from the reference: p(C) is 0, and without truncation a."""
    seen, whole = mode_world(0.0, b), mode_world(a, b)
    return World(seen.p, seen.q, seen.correct, untruncated=whole.p)


def bernoulli_kl(b: float, a: float) -> float:
    """d(b‖a), nats."""
    return _kl(np.array([b, 1 - b]), np.array([a, 1 - a]))


def tilted(a: float, odds: float) -> float:
    """The rate when the odds of a are multiplied."""
    return odds * a / (1 - a + odds * a)


@dataclass(frozen=True)
class Errors:
    """How a verifier errs, whatever the text.

    Attributes:
        accepts: Chance that it accepts a wrong text.
        refuses: Chance that it refuses a right one.
    """

    accepts: float = 0.0
    refuses: float = 0.0

    def judged(self, correct: Bools, rng: np.random.Generator) -> Bools:
        """What it says of texts. Shape as given; a verifier that never errs draws nothing."""
        if not self.accepts and not self.refuses:
            return correct
        return correct ^ (rng.random(correct.size) < np.where(correct, self.refuses, self.accepts))

    def audit(self, size: tuple[int, int], rng: np.random.Generator) -> dict[str, int]:
        """The counts of an audit of so many right and wrong texts."""
        right, wrong = size
        return {
            "right": right,
            "accepted_right": int(rng.binomial(right, 1 - self.refuses)),
            "wrong": wrong,
            "accepted_wrong": int(rng.binomial(wrong, self.accepts)),
        }


_SIDES = ("reference", "candidate", "untruncated reference")

NEVER = Errors()
"""A verifier that does not err."""


@dataclass
class Draws:
    """The samples of one prompt, drawn as far as they are asked for.

    Args:
        world: The laws.
        rng: Source of randomness.
        errors: Those of the verifier.
    """

    world: World
    rng: np.random.Generator
    errors: Errors = NEVER

    def __post_init__(self) -> None:
        """No sample yet."""
        self.completions: list[Ints] = [np.zeros(0, np.int64) for _ in _SIDES]
        self.judged: list[Bools] = [np.zeros(0, np.bool_) for _ in _SIDES]

    def extend(self, side: int, n: int) -> None:
        """Have n samples of a side: 0 the reference, 1 the candidate, 2 the untruncated reference."""
        more = n - self.completions[side].size
        if more <= 0:
            return
        law = (self.world.p, self.world.q, self.world.untruncated)[side]
        if law is None:
            raise ValueError("this world has no untruncated law")
        drawn = self.rng.choice(law.size, size=more, p=law)
        correct = self.errors.judged(self.world.correct[drawn], self.rng)
        self.completions[side] = np.concatenate([self.completions[side], drawn])
        self.judged[side] = np.concatenate([self.judged[side], correct])

    def observe(
        self,
        index: int,
        n: tuple[int, int],
        pilot: int,
        *,
        scored: bool,
        arms: Mapping[str, int] | None = None,
    ) -> PromptObservations:
        """What an analysis sees of the first n samples of each side.

        Args:
            index: The prompt's place.
            n: Samples of each side.
            pilot: How many of them are the pilot.
            scored: Whether the pilot is scored.
            arms: Samples of the untruncated reference, by stream: one arm at most.
        """
        for side in (0, 1):
            self.extend(side, n[side])
        drawn = {name: count for name, count in (arms or {}).items() if count}
        for count in drawn.values():
            self.extend(2, count)
        return PromptObservations(
            index=index,
            reference=self._side(0, n[0], pilot),
            candidate=self._side(1, n[1], pilot),
            pair=self._pair(pilot) if scored else None,
            arms={name: self._side(2, count, pilot) for name, count in drawn.items()},
        )

    def later_round(self, low: int, high: int) -> ScoredRound:
        """Candidate samples that were drawn at once beyond the pilot, and scored once they were judged."""
        y, correct = self.completions[1][low:high], self.judged[1][low:high]
        with np.errstate(divide="ignore"):
            log_p, log_q = np.log(self.world.p), np.log(self.world.q)
        y = y[correct]
        return ScoredRound(
            proposals=(REFERENCE, CANDIDATE),
            sizes=(0, high - low),
            log_p=log_p[y],
            log_proposals=np.stack([log_p[y], log_q[y]]),
            is_correct=np.ones(y.size, dtype=np.bool_),
            drawn_by=np.ones(y.size, dtype=np.int64),
            successes_only=True,
        )

    def _side(self, side: int, n: int, pilot: int) -> SideObservations:
        correct = self.judged[side][:n]
        hits = int(correct.sum())
        outcomes = {
            "correct": hits,
            "incorrect": n - hits,
            "unparsed": 0,
            "truncated": 0,
            "verifier_error": 0,
        }
        return SideObservations(
            correct=correct,
            pilot_n=min(pilot, n),
            pilot_unusable=np.zeros(min(pilot, n), dtype=np.bool_),
            outcomes=outcomes,
            rewards=correct.astype(np.float64),
            behaviours=(None,) * n,
        )

    def _pair(self, pilot: int) -> ScoredPair:
        first = [self.completions[side][:pilot] for side in (0, 1)]
        y = np.concatenate(first)
        correct = np.concatenate([self.judged[side][:pilot] for side in (0, 1)])
        forward, reverse = self.world.paths()
        with np.errstate(divide="ignore"):
            log_p, log_q = np.log(self.world.p), np.log(self.world.q)
        return ScoredPair(
            log_p=log_p[y],
            log_q=log_q[y],
            correct=correct,
            rewards=correct.astype(np.float64),
            behaviours=(None,) * y.size,
            n_p=first[0].size,
            kl=forward.sum(axis=1)[first[1]],
            token_kl=Ragged.of(forward[first[1]]),
            reverse_kl=reverse.sum(axis=1)[first[0]],
            reverse_token_kl=Ragged.of(reverse[first[0]]),
            entropy_p=-log_p[first[0]],
            entropy_q=-log_q[first[1]],
            zero_cause=tuple("top_p" if self.world.p[i] == 0 else "" for i in first[1]),
            max_token_diff=0.0,
        )


def _with_mass(weights: Floats, correct: Bools, mass: float) -> Floats:
    law = weights.copy()
    law[correct] *= mass / law[correct].sum()
    law[~correct] *= (1 - mass) / law[~correct].sum()
    return law


def _kl(q: Floats, p: Floats) -> float:
    kept = q > 0
    if (p[kept] == 0).any():
        return math.inf
    return math.fsum(q[kept] * np.log(q[kept] / p[kept]))


def _token_kl(q: Floats, p: Floats) -> Floats:
    v = math.isqrt(q.size)
    joint_q, joint_p = q.reshape(v, v), p.reshape(v, v)
    first_q, first_p = joint_q.sum(axis=1), joint_p.sum(axis=1)
    first = _kl(first_q, first_p)
    second = np.zeros(v)
    for i in np.flatnonzero(first_q > 0):
        row_p = joint_p[i] / first_p[i] if first_p[i] > 0 else np.zeros(v)
        second[i] = _kl(joint_q[i] / first_q[i], row_p)
    return np.stack([np.full(v * v, first), np.repeat(second, v)], axis=1)
