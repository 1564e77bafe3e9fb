"""Support retention in the literature's terms (Wu et al. 2025, arXiv 2507.14843), beside its A/A null.

Over prompts solved at least once in n samples: P by both sides, E by the candidate only, S by the reference
only, O by neither.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workers.estimators.counts import clopper_pearson
from workers.estimators.estimate import Estimate
from workers.estimators.families import family_totals, few_units
from workers.estimators.resampling import expanded_tail, resampled_row_means

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
RESAMPLES: Final = 2000
SPLITS: Final = 200
UNIT: Final = "share"
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
    """The four metrics with percentile intervals, tails expanded, from a bootstrap over prompts or families.

    No resample shows a cell that the data lack: with nothing shrunk every draw has SRR = 1. There the
    interval is stretched to what as many families may leave unseen (Clopper-Pearson, one-sided because the
    other end is the edge).

    Args:
        is_in_reference: Solved at least once by the reference. Shape ``(M,)``.
        is_in_candidate: By the candidate, in the same number of samples. Shape ``(M,)``.
        rng: Source of the resamples.
        confidence: Nominal coverage.
        families: One label per prompt, or None where prompts are independent. Shape ``(M,)``.

    Raises:
        ValueError: Shapes differ.
    """
    reference, candidate = np.asarray(is_in_reference, dtype=bool), np.asarray(is_in_candidate, dtype=bool)
    if reference.shape != candidate.shape:
        raise ValueError("both sides need the same prompts")
    prompts = reference.size
    if prompts == 0:
        nothing = Estimate.undefined("no prompts", UNIT)
        return Retention(nothing, nothing, nothing, nothing)
    rows = _rows(reference, candidate)
    cells = rows.sum(axis=0)
    draws = resampled_row_means(rows, rng, RESAMPLES, families)
    totals, _ = family_totals(rows, families)
    unseen = _with_unseen_cells(cells, int((totals[:, :3].sum(axis=1) > 0).sum()), confidence)
    units = totals.shape[0]
    doubt = few_units(units, prompts)
    tail = expanded_tail(units, confidence) if units > 1 else (1 - confidence) / 2

    def estimate(metric: Callable[[Floats], Floats]) -> Estimate:
        value = float(metric(cells[None, :])[0])
        if np.isnan(value):
            return Estimate.undefined("no prompt was solved by the side in the denominator", UNIT, prompts)
        return _spread(value, metric(draws), prompts, confidence, tail, metric(unseen), doubt)

    return _retention(estimate)


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
    return _retention(lambda metric: _null(metric(table), int(c.size), confidence))


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


def _retention(make: Callable[[Callable[[Floats], Floats]], Estimate]) -> Retention:
    return Retention(srr=make(_srr), ndr=make(_ndr), sds=make(_sds), nscr=make(_nscr))


def _rows(reference: NDArray[np.bool_], candidate: NDArray[np.bool_]) -> Floats:
    """Which of P, E, S, O each prompt is. Shape ``(M, 4)``."""
    cells = (reference & candidate, candidate & ~reference, reference & ~candidate, ~(reference | candidate))
    return np.stack(cells, axis=1).astype(np.float64)


def _with_unseen_cells(cells: Floats, units: int, confidence: float) -> Floats:
    """For each of P, E, S that is absent, the cells if it held what `units` may leave unseen.

    Shape ``(R, 4)``, one row for each absent one.
    """
    solved = float(cells[:3].sum())
    if solved == 0:
        return np.empty((0, 4))
    missed = clopper_pearson(0, units, 2 * confidence - 1)[1]
    kept = np.append(cells[:3] * (1 - missed), cells[3])
    moved = [kept + missed * solved * (np.arange(4) == cell) for cell in range(3) if not cells[cell]]
    return np.reshape(moved, (-1, 4)).astype(np.float64)


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
    if np.isnan(draws).all():
        return Estimate.undefined("no prompt was solved", UNIT, prompts)
    return _spread(float(np.nanmean(draws)), draws, prompts, confidence, (1 - confidence) / 2)


def _spread(
    value: float,
    draws: Floats,
    prompts: int,
    confidence: float,
    tail: float,
    also: Floats | None = None,
    doubt: str = "",
) -> Estimate:
    """The range of the draws less a tail at each side, stretched to hold the value and what else it must."""
    kept = draws[~np.isnan(draws)]
    held = [value] if also is None else [value, *also[~np.isnan(also)].tolist()]
    low, high = np.quantile(kept, [tail, 1 - tail])
    return Estimate(
        value=value,
        std_error=float(kept.std(ddof=1)) if kept.size > 1 else None,
        ci_low=min(float(low), *held),
        ci_high=max(float(high), *held),
        confidence=confidence,
        n=prompts,
        unit=UNIT,
        status="unreliable" if doubt else "ok",
        reason=doubt,
    )
