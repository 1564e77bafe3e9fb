"""The gain E_q[r] - E_p[r] of a candidate q over a reference p, and where it came from.

Binary verifiers: the gain of a prompt is b - a, a probability difference. The split assigns every prompt's
gain to one of four causes; the parts sum to the total. The candidate's fixed pilot is cross-fitted: one
fold decides the cause, the other measures the gain, then they swap. Point gains use pilot samples only,
because adaptively stopped success rates are biased. Design page "What Tiltscope measures", sections 4, 5.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from workers.estimators.counts import clopper_pearson, epsilon, log_e_in, success_interval
from workers.estimators.estimate import Estimate
from workers.estimators.regimes import PromptEvidence, above_chance, reference_class, reference_confirmations
from workers.estimators.verifier_noise import AUDIT_SHARE, BLIND, Audit, NoiseBounds, accepted_thresholds

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
Part = Literal["elicited", "created", "lost", "undetermined"]

PARTS: Final[tuple[Part, ...]] = ("elicited", "created", "lost", "undetermined")
ELICITED, CREATED, LOST, UNDETERMINED = range(4)
UNIT: Final = "probability"
SMALL: Final = 32
SMALL_STRETCH: Final = 1.06  # the least of 1.03, 1.06 that covers; see `gain_estimate`
RESAMPLES: Final = 2000
CELLS: Final = 2_000_000  # resamples x prompts held at once


@dataclass(frozen=True, slots=True, kw_only=True)
class SideSamples:
    """The judged samples of one side of one prompt, verifier errors excluded.

    Attributes:
        pilot: Success of each sample of the fixed-size pilot, in sample order. Shape ``(n,)``, bool.
        pilot_unusable: Which pilot samples were truncated or unparsed. Shape ``(n,)``, bool.
        successes: Successes among all samples, top-up included.
        samples: All samples, top-up included.
        unusable: Truncated and unparsed samples among all.
        low: Lower bound of the success rate at the decision level, valid whenever sampling stopped.
        high: Upper bound, likewise; from this side's own samples.
        noise: Bounds of the verifier's error rates, behind `low` and `high`; successes are then what it
            accepted. None without an audit.

    Raises:
        ValueError: Counts or bounds contradict each other.
    """

    pilot: NDArray[np.bool_]
    pilot_unusable: NDArray[np.bool_]
    successes: int
    samples: int
    unusable: int
    low: float
    high: float
    noise: NoiseBounds | None = None

    def __post_init__(self) -> None:
        """Reject counts that no sample could give."""
        if self.pilot.shape != self.pilot_unusable.shape or self.pilot.ndim != 1:
            raise ValueError("pilot and pilot_unusable have one entry per pilot sample")
        if bool(np.any(self.pilot & self.pilot_unusable)):
            raise ValueError("an unusable sample is no success")
        if self.pilot.size > self.samples or not int(self.pilot.sum()) <= self.successes <= self.samples:
            raise ValueError("the totals include the pilot")
        extra = self.successes - int(self.pilot.sum()), self.unusable - int(self.pilot_unusable.sum())
        if extra[1] < 0 or sum(extra) > self.samples - self.pilot.size:
            raise ValueError("unusable samples are failures, and the totals include the pilot's")
        if not 0.0 <= self.low <= self.high <= 1.0:
            raise ValueError("bounds lie in [0, 1], the lower one first")

    @property
    def accepted_low(self) -> float:
        """Lower bound of the accepted rate; of two sides with one verifier the better is accepted oftener."""
        if self.noise is None or self.low == 0.0:
            return self.low
        return self.noise.highest_accepted(self.low)

    def with_unusable_as_successes(self, *, alpha: float, threshold: float) -> "SideSamples":
        """The samples if every truncated or unparsed one were a success; bounds for an adaptive plan."""
        if self.unusable == 0:
            return self
        pilot = self.pilot | self.pilot_unusable
        successes = self.successes + self.unusable
        low, high = success_interval(
            int(pilot.sum()),
            pilot.size,
            successes,
            self.samples,
            confidence=1 - (alpha if self.noise is None else (1 - AUDIT_SHARE) * alpha),
            threshold=threshold,
            adaptive=True,
        )
        if self.noise is not None:
            low, high = self.noise.true_interval(low, high)
        none = np.zeros_like(pilot)
        return replace(
            self,
            pilot=pilot,
            pilot_unusable=none,
            successes=successes,
            unusable=0,
            low=max(low, min(self.low, high)),  # more successes never weaken a lower bound
            high=high,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptRecord:
    """One prompt of an analysis with both sides: evidence of reach and judged samples.

    Attributes:
        prompt_id: The user's name for it.
        evidence: What its regime depends on.
        reference: Samples of p.
        candidate: Samples of q.
        family: Template or topic it shares with others; prompts of a family are not independent.
        split: The data set's own mark, for example ``heldout``.
    """

    prompt_id: str
    evidence: PromptEvidence
    reference: SideSamples
    candidate: SideSamples
    family: str | None = None
    split: str | None = None


def gain_estimate(
    reference: SideSamples, candidate: SideSamples, *, confidence: float, audit: Audit | None = None
) -> Estimate:
    """The gain b - a of one prompt: pilot means, with an interval from each side's own bounds.

    The interval is MOVER (Newcombe 1998 for Wilson limits; Donner & Zou 2012 for any limits), its reach
    stretched by 6 % where a side has fewer than 32 samples: with exact 95 % limits it then covers at least
    95 % for 4 to 64 samples a side, by enumeration, and without it as little as 92 % at 4 and 94 % at 16.
    Bounds from topped-up samples may exclude the pilot mean; the interval is then centred at the nearest
    bound and stretched to hold the point.

    Args:
        reference: Samples of p, with bounds on a.
        candidate: Samples of q, with bounds on b.
        confidence: Coverage of the given bounds, and of the interval.
        audit: Of the verifier, where the bounds allow for its errors: points are then corrected too.
    """
    n = min(reference.pilot.size, candidate.pilot.size)
    if n == 0:
        return Estimate.undefined("one side has no judged sample", UNIT)
    seen_a, seen_b = float(reference.pilot.mean()), float(candidate.pilot.mean())
    a, b, index = seen_a, seen_b, 1.0
    if audit is not None:
        true_a, true_b = audit.corrected(seen_a), audit.corrected(seen_b)
        if audit.informative is None or true_a is None or true_b is None:
            return Estimate.undefined(BLIND, UNIT, n)
        a, b, index = true_a, true_b, audit.informative
    a_mid = min(max(a, reference.low), reference.high)
    b_mid = min(max(b, candidate.low), candidate.high)
    stretch = SMALL_STRETCH if n < SMALL else 1.0
    low = b_mid - a_mid - stretch * math.hypot(b_mid - candidate.low, reference.high - a_mid)
    high = b_mid - a_mid + stretch * math.hypot(candidate.high - b_mid, a_mid - reference.low)
    sizes = reference.pilot.size, candidate.pilot.size
    std_error = None
    if min(sizes) > 1:
        variance = seen_a * (1 - seen_a) / (sizes[0] - 1) + seen_b * (1 - seen_b) / (sizes[1] - 1)
        std_error = math.sqrt(variance) / index
    return Estimate(
        value=b - a,
        std_error=std_error,
        ci_low=max(-1.0, min(low, b - a)),
        ci_high=min(1.0, max(high, b - a)),
        confidence=confidence,
        n=n,
        unit=UNIT,
    )


@dataclass(frozen=True, slots=True)
class CrossFit:
    """Pilot counts of all prompts and the cause each fold's count stands for.

    Prompts are kept in an order that depends on their data alone, so that neither the order of the request
    nor the names of prompts can change a resampled number.

    Attributes:
        reference: Pilot successes and samples of p. Shape ``(M, 2)``.
        folds: Pilot successes and samples of q per fold. Shape ``(M, 2, 2)``: prompt, fold, (c, n).
        causes: Index into `PARTS` for each success count a fold may show. Shape ``(M, 2, C)``.
        slack: Bias that an `out` reference may leave in the gain, epsilon(K_probe) where the reference is
            out, or the accepted rate that it implies, else 0. Shape ``(M,)``.
        families: Family index of each prompt. Shape ``(M,)``.
        excluded: Prompts without a judged sample on one side.
    """

    reference: IntArray
    folds: IntArray
    causes: NDArray[np.int8]
    slack: FloatArray
    families: IntArray
    excluded: int

    @property
    def size(self) -> int:
        """Prompts, M."""
        return int(self.reference.shape[0])

    @property
    def key(self) -> bytes:
        """Equal for cross-fits of which everything that is computed is equal."""
        parts = (self.reference, self.folds, self.causes, self.slack, self.families)
        return b"|".join([repr(self.causes.shape).encode(), *(part.tobytes() for part in parts)])

    def contributions(self) -> FloatArray:
        """Each prompt's gain by cause; rows sum to the pilot difference b - a. Shape ``(M, 4)``."""
        counts = self.folds[None, :, :, 0]
        rates = self.reference[None, :, 0] / self.reference[None, :, 1]
        parts: FloatArray = self._split(counts, rates, np.zeros((1, self.size)))[0]
        return parts

    def causes_seen(self) -> NDArray[np.int8]:
        """The cause each fold decided on. Shape ``(M, 2)``."""
        rows = np.arange(self.size)[:, None]
        return self.causes[rows, np.arange(2)[None, :], self.folds[:, :, 0]]

    def resample(self, rng: np.random.Generator, resamples: int = RESAMPLES) -> FloatArray:
        """Data-set means of the four parts when the samples within each prompt are drawn again.

        Success rates are shrunk to (c + 1/2)/(n + 1), so that a prompt with only successes does not read
        as certain; gains are shifted back by the difference. Causes are decided again in each resample.

        Returns:
            Shape ``(resamples, 5)``: the four parts, then the slack of the created part.
        """
        step = max(1, CELLS // max(self.size, 1))
        sizes = [min(step, resamples - done) for done in range(0, resamples, step)]
        return np.concatenate([self._resample_block(rng, size) for size in sizes])

    def _resample_block(self, rng: np.random.Generator, resamples: int) -> FloatArray:
        p_c, p_n = self.reference[:, 0], self.reference[:, 1]
        q_c, q_n = self.folds[:, :, 0].sum(axis=1), self.folds[:, :, 1].sum(axis=1)
        p_shrunk, q_shrunk = (p_c + 0.5) / (p_n + 1), (q_c + 0.5) / (q_n + 1)
        counts = rng.binomial(self.folds[None, :, :, 1], q_shrunk[None, :, None], (resamples, self.size, 2))
        rates = rng.binomial(p_n, p_shrunk, (resamples, self.size)) / p_n
        shift = (q_c / q_n - q_shrunk) - (p_c / p_n - p_shrunk)
        parts = self._split(counts, rates, np.broadcast_to(shift, rates.shape)).mean(axis=1)
        slack = self.created_slack(counts).mean(axis=1)
        return np.concatenate([parts, slack[:, None]], axis=1)

    def created_slack(self, counts: IntArray | None = None) -> FloatArray:
        """The slack of each prompt's created part, by default of the data themselves. Shape ``(R, M)``."""
        drawn = self.folds[None, :, :, 0] if counts is None else counts
        weights, causes = self._weights_and_causes(drawn)
        return np.asarray((weights * (causes == CREATED)).sum(axis=2) * self.slack, dtype=np.float64)

    def _weights_and_causes(self, counts: IntArray) -> tuple[FloatArray, NDArray[np.int8]]:
        """Weight of each measuring fold ``(M, 2)``; the cause the other fold decides ``(R, M, 2)``."""
        sizes = self.folds[:, :, 1]
        causes = self.causes[np.arange(self.size)[None, :, None], np.arange(2)[None, None, :], counts]
        return sizes / sizes.sum(axis=1, keepdims=True), causes[:, :, ::-1]

    def _split(self, counts: IntArray, rates: FloatArray, shift: FloatArray) -> FloatArray:
        """Contributions by cause. counts ``(R, M, 2)``, rates and shift ``(R, M)``; result ``(R, M, 4)``."""
        weights, causes = self._weights_and_causes(counts)
        fold_gain = counts / np.maximum(self.folds[None, :, :, 1], 1) - (rates - shift)[:, :, None]
        weighted = weights * fold_gain
        parts = np.empty((*rates.shape, len(PARTS)))
        for code in range(len(PARTS)):
            by_fold = weighted * (causes == code)
            # NumPy sums over an axis of two numbers ten times slower than it adds them.
            np.add(by_fold[:, :, 0], by_fold[:, :, 1], out=parts[:, :, code])
        return parts


def cross_fit(prompts: Sequence[PromptRecord], *, alpha: float, reach: float) -> CrossFit:
    """Cross-fit the candidate's pilot of every prompt.

    Causes, by the deciding fold: `created` if the reference's part of the confirmations holds, the fold
    shows the candidate `in` at K_use and its lower bound exceeds the chance floor; `lost` if the fold's
    upper bound of b is below the lower bound of a; `elicited` if the reference is `in` at K_probe;
    else `undetermined`, unconfirmed created prompts included. With an audit all rates are accepted ones.

    Args:
        prompts: Prompts with both sides.
        alpha: Error level of each class.
        reach: Chance of one success in K that counts as reachable.
    """
    usable = [p for p in prompts if p.reference.pilot.size and p.candidate.pilot.size]
    size = len(usable)
    reference = np.array([(p.reference.pilot.sum(), p.reference.pilot.size) for p in usable], np.int64)
    folds = np.array([_fold_counts(p.candidate.pilot) for p in usable], np.int64)
    reference, folds = reference.reshape(size, 2), folds.reshape(size, 2, 2)
    width = int(folds[:, :, 1].max(initial=0)) + 1
    causes = np.full((size, 2, width), UNDETERMINED, np.int8)
    for row, prompt in enumerate(usable):
        for fold in range(2):
            table = _causes_by_count(prompt, int(folds[row, fold, 1]), alpha, reach)
            causes[row, fold, : table.size] = table
    slack = np.array([_slack(p, reach) for p in usable], np.float64)
    names = [p.family if p.family is not None else (row,) for row, p in enumerate(usable)]
    index = {name: position for position, name in enumerate(dict.fromkeys(names))}
    families = np.array([index[name] for name in names], np.int64)
    keys = np.concatenate([reference, folds.reshape(size, 4), causes.reshape(size, 2 * width)], axis=1)
    order = np.lexsort([slack, *keys.T])
    return CrossFit(
        reference[order], folds[order], causes[order], slack[order], families[order], len(prompts) - size
    )


def _fold_counts(pilot: NDArray[np.bool_]) -> list[tuple[int, int]]:
    middle = (pilot.size + 1) // 2
    return [(int(fold.sum()), int(fold.size)) for fold in (pilot[:middle], pilot[middle:])]


def _slack(prompt: PromptRecord, reach: float) -> float:
    probe = prompt.evidence.reference_probe
    out = reference_class(prompt.evidence) == "out"
    return accepted_thresholds(probe.noise, epsilon(probe.budget, reach))[1] if out else 0.0


def _causes_by_count(prompt: PromptRecord, n: int, alpha: float, reach: float) -> NDArray[np.int8]:
    """The cause for each success count 0..n of a deciding fold. Shape ``(n + 1,)``."""
    evidence, use = prompt.evidence, prompt.evidence.candidate_use
    threshold, _ = accepted_thresholds(use.noise, epsilon(use.budget, reach))
    reached, low, high = _fold_bounds(n, threshold, alpha)
    in_reach = reference_class(evidence) == "in"
    causes = np.full(n + 1, ELICITED if in_reach else UNDETERMINED, np.int8)
    causes[high < prompt.reference.accepted_low] = LOST
    if all(check.passed for check in reference_confirmations(evidence)):
        chance = np.array([above_chance(float(bound), evidence.chance_floor).passed for bound in low])
        causes[reached & chance] = CREATED
    return causes


@lru_cache(maxsize=256)
def _fold_bounds(n: int, threshold: float, alpha: float) -> tuple[NDArray[np.bool_], FloatArray, FloatArray]:
    """For each count of n: a rate above the threshold, and exact bounds of it. Shapes ``(n + 1,)``."""
    if n == 0:
        return np.zeros(1, np.bool_), np.zeros(1), np.ones(1)
    reached = np.array([log_e_in(count, n, threshold) >= -math.log(alpha) for count in range(n + 1)])
    bounds = np.array([clopper_pearson(count, n, 1 - alpha) for count in range(n + 1)], np.float64)
    return reached, bounds[:, 0], bounds[:, 1]
