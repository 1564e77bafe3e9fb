"""Support retention in the literature's terms (Wu et al. 2025, arXiv 2507.14843), beside its A/A null.

Over prompts solved at least once in n samples: P by both sides, E by the candidate only, S by the reference
only, O by neither.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workers.estimators.estimate import Estimate
from workers.estimators.families import cluster_error, few_units
from workers.estimators.resampling import bounded_interval

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
SPLITS: Final = 200
UNIT: Final = "share"
UNSOLVED: Final = "no prompt was solved by the side in the denominator"
SPLIT_TOO_SMALL: Final = "splitting the reference needs twice as many samples a prompt"


@dataclass(frozen=True, slots=True)
class Retention:
    """The four metrics; each is undefined where its denominator is 0.

    Attributes:
        srr: Support retention rate P/(P + S).
        ndr: Net discovery rate E/(P + E).
        sds: Support dynamic score, the harmonic mean of the two.
        nscr: Net support change rate (E - S)/(P + E + S), in [-1, 1].
    """

    srr: Estimate
    ndr: Estimate
    sds: Estimate
    nscr: Estimate


def retention(
    is_in_reference: NDArray[np.bool_],
    is_in_candidate: NDArray[np.bool_],
    rng: np.random.Generator,
    confidence: float = 0.95,
    families: ArrayLike | None = None,
) -> Retention:
    """The four metrics with intervals for the population of prompts or families.

    Given how many prompts stand in its denominator, each of SRR, NDR and NSCR is a mean over just these, of
    values in [0, 1] or [-1, 1], so that a `bounded_interval` holds: Clopper and Pearson's for the first two.
    Resampled prompts cannot show a cell that the data lack and are too narrow where it holds few. SDS rises
    with SRR and NDR, and its interval is that of the corners of a box which holds both (union bound).

    Standard errors are cluster-robust, of the metric's influence function.

    Args:
        is_in_reference: Solved at least once by the reference. Shape ``(M,)``.
        is_in_candidate: By the candidate, in the same number of samples. Shape ``(M,)``.
        rng: Source of the intervals' weights.
        confidence: Nominal coverage.
        families: One label per prompt, or None where prompts are independent. Shape ``(M,)``.

    Raises:
        ValueError: Shapes differ.
    """
    reference, candidate = np.asarray(is_in_reference, dtype=bool), np.asarray(is_in_candidate, dtype=bool)
    if reference.shape != candidate.shape:
        raise ValueError("both sides need the same prompts")
    if reference.size == 0:
        nothing = Estimate.undefined("no prompts", UNIT)
        return Retention(nothing, nothing, nothing, nothing)
    order = np.lexsort([candidate, reference])  # sums of floats must not depend on that of the prompts
    reference, candidate = reference[order], candidate[order]
    labels = None if families is None else np.array(families)[order]
    both, only_q, only_p = (_rows(reference, candidate)[:, cell] for cell in range(3))
    kept, found = _Share(both, both + only_p, labels), _Share(only_q, both + only_q, labels)
    change = _Share(only_q - only_p, both + only_q + only_p, labels)
    return Retention(
        srr=kept.estimate(kept.interval(rng, confidence), confidence),
        ndr=found.estimate(found.interval(rng, confidence), confidence),
        sds=_support_dynamic(kept, found, rng, confidence),
        nscr=change.estimate(change.interval(rng, confidence, least=-1.0), confidence),
    )


@dataclass(frozen=True, slots=True)
class _Share:
    """A ratio of sums over prompts whose denominator counts some of them.

    Attributes:
        over: Numerator of each prompt, 0 outside the denominator. Shape ``(M,)``.
        under: 1 for each prompt that counts, else 0. Shape ``(M,)``.
        families: One label per prompt, or None. Shape ``(M,)``.
    """

    over: Floats
    under: Floats
    families: NDArray[Any] | None

    @property
    def value(self) -> float | None:
        """None where no prompt counts."""
        return float(self.over.sum() / self.under.sum()) if self.under.any() else None

    @property
    def influence(self) -> Floats:
        """What each prompt adds to the error of the ratio, times M. Shape ``(M,)``."""
        influence: Floats = (self.over - (self.value or 0.0) * self.under) / self.under.mean()
        return influence

    def interval(
        self, rng: np.random.Generator, confidence: float, least: float = 0.0
    ) -> tuple[float, float] | None:
        """Ends for a numerator between `least` and 1; None where no prompt counts."""
        value, is_in = self.value, self.under > 0
        if value is None:
            return None
        families = None if self.families is None else self.families[is_in]
        unit = (self.over[is_in] - least) / (1.0 - least)
        low, high = bounded_interval(unit, rng, confidence=confidence, families=families)
        low, high = (least + (1.0 - least) * end for end in (low, high))
        return min(low, value), max(high, value)

    def estimate(self, interval: tuple[float, float] | None, confidence: float) -> Estimate:
        """Value, interval and standard error; undefined where no prompt counts."""
        if self.value is None or interval is None:
            return Estimate.undefined(UNSOLVED, UNIT, self.over.size)
        return _estimate(self.value, interval, self.influence, self.doubt, self.families, confidence)

    @property
    def doubt(self) -> str:
        """Why the interval is weak; empty where it is not."""
        if self.families is None:
            return ""
        counted = self.families[self.under > 0]
        return few_units(len(set(counted.tolist())), counted.size)


def _support_dynamic(kept: _Share, found: _Share, rng: np.random.Generator, confidence: float) -> Estimate:
    """SDS, the harmonic mean of what is kept and what is found."""
    each = 0.5 * (1.0 + confidence)
    of_srr, of_ndr = kept.interval(rng, each), found.interval(rng, each)
    srr, ndr = kept.value, found.value
    if of_srr is None or of_ndr is None or srr is None or ndr is None:
        return Estimate.undefined(UNSOLVED, UNIT, kept.over.size)
    low, high = _harmonic(of_srr[0], of_ndr[0]), _harmonic(of_srr[1], of_ndr[1])
    slopes = 2 * (ndr / (srr + ndr)) ** 2, 2 * (srr / (srr + ndr)) ** 2
    influence = slopes[0] * kept.influence + slopes[1] * found.influence
    doubt = kept.doubt or found.doubt
    return _estimate(_harmonic(srr, ndr), (low, high), influence, doubt, kept.families, confidence)


def _harmonic(one: float, other: float) -> float:
    return 2 * one * other / (one + other) if one + other > 0 else 0.0


def _estimate(
    value: float,
    interval: tuple[float, float],
    influence: Floats,
    doubt: str,
    families: NDArray[Any] | None,
    confidence: float,
) -> Estimate:
    return Estimate(
        value=value,
        std_error=cluster_error(influence, families),
        ci_low=interval[0],
        ci_high=interval[1],
        confidence=confidence,
        n=influence.size,
        unit=UNIT,
        status="unreliable" if doubt else "ok",
        reason=doubt,
    )


def retention_null(
    successes: Ints,
    ns: Ints,
    size: int,
    rng: np.random.Generator,
    splits: int = SPLITS,
    confidence: float = 0.95,
) -> Retention:
    """The metrics of the reference against itself: two disjoint random subsets of each prompt's samples.

    Value: mean over splits; interval: the central range of single splits; `std_error`: their spread. What is
    drawn without replacement varies no more than fresh samples would, so the null is if anything narrow.

    Args:
        successes: c of the reference per prompt. Shape ``(M,)``.
        ns: n per prompt. Shape ``(M,)``.
        size: Samples a prompt in each subset: those that the observed metrics rest on.
        rng: Source of the splits.
        splits: Number of splits.
        confidence: Central share of the splits between the interval's ends.
    """
    c, n = np.asarray(successes, dtype=np.int64), np.asarray(ns, dtype=np.int64)
    if c.size == 0 or size < 1 or (n < 2 * size).any():
        nothing = Estimate.undefined(SPLIT_TOO_SMALL if c.size else "no prompts", UNIT)
        return Retention(nothing, nothing, nothing, nothing)
    first = rng.hypergeometric(c, n - c, size, size=(splits, c.size))
    second = rng.hypergeometric(c - first, n - size - (c - first), size)
    table = np.stack([_rows(first[i] > 0, second[i] > 0).sum(axis=0) for i in range(splits)])
    return Retention(*(_null(metric(table), int(c.size), confidence) for metric in (_srr, _ndr, _sds, _nscr)))


def solved_within(successes: Ints, ns: Ints, size: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Whether a random subset of `size` of each prompt's samples holds a success. Shape ``(M,)``.

    Raises:
        ValueError: `size` exceeds an n.
    """
    c, n = np.asarray(successes, dtype=np.int64), np.asarray(ns, dtype=np.int64)
    if size < 1 or (n < size).any():
        raise ValueError("size must lie between 1 and every n")
    solved: NDArray[np.bool_] = rng.hypergeometric(c, n - c, size) > 0
    return solved


def _rows(reference: NDArray[np.bool_], candidate: NDArray[np.bool_]) -> Floats:
    """Which of P, E, S, O each prompt is. Shape ``(M, 4)``."""
    cells = (reference & candidate, candidate & ~reference, reference & ~candidate, ~(reference | candidate))
    return np.stack(cells, axis=1).astype(np.float64)


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Elementwise ratio; NaN, internal to this file, where undefined."""
    ratio = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=ratio, where=denominator > 0)
    return ratio


def _srr(cells: Floats) -> Floats:
    return _ratio(cells[:, 0], cells[:, 0] + cells[:, 2])


def _ndr(cells: Floats) -> Floats:
    return _ratio(cells[:, 1], cells[:, 0] + cells[:, 1])


def _sds(cells: Floats) -> Floats:
    p, e, s = cells[:, 0], cells[:, 1], cells[:, 2]
    return _ratio(2 * p * e, p * (p + e) + e * (p + s))


def _nscr(cells: Floats) -> Floats:
    return _ratio(cells[:, 1] - cells[:, 2], cells[:, 0] + cells[:, 1] + cells[:, 2])


def _null(draws: Floats, prompts: int, confidence: float) -> Estimate:
    kept = draws[~np.isnan(draws)]
    if kept.size == 0:
        return Estimate.undefined("no prompt was solved", UNIT, prompts)
    value = float(kept.mean())
    low, high = np.quantile(kept, [0.5 * (1 - confidence), 0.5 * (1 + confidence)])
    return Estimate(
        value=value,
        std_error=float(kept.std(ddof=1)) if kept.size > 1 else None,
        ci_low=min(float(low), value),
        ci_high=max(float(high), value),
        confidence=confidence,
        n=prompts,
        unit=UNIT,
    )
