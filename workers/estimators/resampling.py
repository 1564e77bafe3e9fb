"""Resampling prompts, families of prompts, and samples within prompts."""

import math
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from workers.estimators.counts import clopper_pearson
from workers.estimators.families import family_means, family_totals, linearised
from workers.numerics.checks import FloatVector, count_vectors, open_unit
from workers.numerics.quantiles import quantile

_BLOCK_CELLS = 4_000_000

EQUAL: Final = 1e-9
"""Values in [0, 1] that differ by less are one value, whose interval is known in closed form."""


def resample_counts(
    successes: ArrayLike, n: ArrayLike, rng: np.random.Generator, resamples: int
) -> NDArray[np.int64]:
    """Resample the samples within every prompt: Binomial(n, c/n), the prompts kept.

    A prompt with c = 0 or c = n does not vary here, whatever n: its uncertainty needs an interval.

    Args:
        successes: Shape ``(M,)``.
        n: Shape ``(M,)``.
        rng: Source of randomness.
        resamples: Number of replicates R.

    Returns:
        Successes per replicate. Shape ``(R, M)``.

    Raises:
        ValueError: Counts out of range.
    """
    c, total = count_vectors(successes, n)
    rates = np.divide(c, total, out=np.zeros(c.size), where=total > 0)
    drawn: NDArray[np.int64] = rng.binomial(total, rates, size=(resamples, c.size))
    return drawn


def resampled_row_means(
    rows: ArrayLike, rng: np.random.Generator, resamples: int, families: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Means of rows over prompts when whole families are drawn again (ratio of sums).

    Args:
        rows: One row per prompt, finite. Shape ``(M, D)``, M >= 1.
        rng: Source of randomness.
        resamples: Number of replicates R.
        families: As `family_totals`.

    Returns:
        Shape ``(R, D)``.

    Raises:
        ValueError: No rows, or shapes that differ.
    """
    sums, sizes = family_totals(rows, families)
    if sizes.size == 0:
        raise ValueError("there is nothing to resample")
    picks = rng.multinomial(sizes.size, np.full(sizes.size, 1 / sizes.size), size=resamples)
    means: NDArray[np.float64] = (picks @ sums) / (picks @ sizes)[:, None]
    return means


def bootstrap_means(
    values: ArrayLike, rng: np.random.Generator, resamples: int, families: ArrayLike | None = None
) -> FloatVector:
    """Means over prompts of bootstrap replicates that resample whole families (ratio of sums).

    Args:
        values: One number per prompt. Shape ``(M,)``, M >= 1.
        rng: Source of randomness.
        resamples: Number of replicates R.
        families: One label per prompt, or None to resample prompts. Shape ``(M,)``.

    Returns:
        Shape ``(R,)``.

    Raises:
        ValueError: No values, or shapes that differ.
    """
    sums, sizes = family_means(values, families)
    if sums.size == 0:
        raise ValueError("there is nothing to resample")
    means, equal = np.empty(resamples), bool((sizes == sizes[0]).all())
    step = max(1, _BLOCK_CELLS // sums.size)
    for start in range(0, resamples, step):
        block = min(step, resamples - start)
        picked = rng.integers(0, sums.size, size=(block, sums.size))
        drawn = sizes.size * sizes[0] if equal else sizes[picked].sum(axis=1)
        means[start : start + block] = sums[picked].sum(axis=1) / drawn
    return means


def expanded_tail(units: int, confidence: float) -> float:
    """The tail that a percentile interval of few units leaves out at a side (Hesterberg 2015).

    Percentiles of resampled means are too short by the factor sqrt((F - 1)/F) and by the normal quantile in
    place of Student's; the tail is shrunk until both are made good.

    Args:
        units: Families F, at least 2.
        confidence: Coverage, in (0, 1).
    """
    student = float(special.stdtrit(units - 1, 0.5 + open_unit(confidence, "confidence") / 2))
    return float(special.ndtr(-math.sqrt(units / (units - 1)) * student))


def bounded_interval(
    values: ArrayLike,
    rng: np.random.Generator,
    *,
    confidence: float,
    resamples: int = 2000,
    families: ArrayLike | None = None,
) -> tuple[float, float]:
    """A two-sided interval for the population mean of values in [0, 1], honest where few hardly differ.

    With weights uniform on the simplex (spacings of uniforms), the lower end is a quantile of the weighted
    mean of the values and one more at 0, the upper end of the same with one more at 1 (Gaffke 2005; no
    counter-example to its coverage is known: Learned-Miller & Thomas 2019). For values that are 0 or 1 it is
    Clopper and Pearson's, which needs no weights. Student's t and the bootstrap see no spread in what few
    prompts show: among twenty prompts near 1 they hold the mean of Beta(2, 2) prompts at k = 64 once in
    sixty times.

    Args:
        values: One number per prompt, in [0, 1]. Shape ``(M,)``, M >= 1.
        rng: Source of the weights.
        confidence: Coverage, in (0, 1).
        resamples: Number of weights.
        families: As `bootstrap_means`; a family is then one value, by `linearised`.

    Raises:
        ValueError: No values, or shapes that differ.
    """
    tail = 0.5 * (1.0 - open_unit(confidence, "confidence"))
    units = np.sort(linearised(values, families))
    if units.size == 0:
        raise ValueError("there is no value to make an interval of")
    if np.isin(units, (0.0, 1.0)).all():
        return clopper_pearson(int(units.sum()), units.size, confidence)
    if np.ptp(units) < EQUAL:
        left = tail ** (1.0 / units.size)  # the weight of the one more is Beta(1, F)
        return float(units[0] * left), float(1.0 - (1.0 - units[-1]) * left)
    weights = rng.standard_exponential((resamples, units.size + 1))
    weights /= weights.sum(axis=1, keepdims=True)
    means = weights[:, :-1] @ units
    low, high = quantile(means, tail), quantile(means + weights[:, -1], 1.0 - tail)
    return max(low, 0.0), min(high, 1.0)


def bootstrap_interval(
    values: ArrayLike,
    rng: np.random.Generator,
    *,
    confidence: float,
    resamples: int = 2000,
    families: ArrayLike | None = None,
    method: Literal["bca", "percentile"] = "bca",
) -> tuple[float, float] | None:
    """A two-sided interval for the mean over the population that prompts or families are drawn from.

    ``bca`` (Efron 1987) corrects the percentiles for bias and skewness: z0 from the share of replicates below
    the mean, ties counted half, and the acceleration from the jackknife over families.

    Args:
        values: One number per prompt. Shape ``(M,)``.
        rng: Source of randomness.
        confidence: Coverage, in (0, 1).
        resamples: Number of replicates.
        families: As `bootstrap_means`.
        method: ``bca`` or ``percentile``.

    Returns:
        The ends; None with fewer than 2 families, or where none differs from another: resampling equals
        shows no spread, which is not certainty.

    Raises:
        ValueError: As `bootstrap_means`, or a confidence out of range.
    """
    open_unit(confidence, "confidence")
    sums, sizes = family_means(values, families)
    if sums.size < 2:
        return None
    means = bootstrap_means(values, rng, resamples, families)
    if np.ptp(means) <= 1e-12 * float(np.abs(means).max()):
        return None
    levels = np.array([0.5 * (1.0 - confidence), 0.5 * (1.0 + confidence)])
    if method == "bca":
        levels = _bca_levels(levels, means, sums, sizes)
    return quantile(means, float(levels[0])), quantile(means, float(levels[1]))


def _bca_levels(
    levels: FloatVector, means: FloatVector, sums: FloatVector, sizes: FloatVector
) -> FloatVector:
    """The percentiles that BCa reads instead of `levels`."""
    centre = sums.sum() / sizes.sum()
    # Rounding must not break ties: a resample of the same prompts in another order is the same mean.
    slack = 1e-9 * float(np.ptp(means))
    below = 0.5 * float(np.mean(means < centre - slack) + np.mean(means <= centre + slack))
    z0 = float(special.ndtri(min(max(below, 0.5 / means.size), 1.0 - 0.5 / means.size)))
    left_out = (sums.sum() - sums) / (sizes.sum() - sizes)
    deviation = left_out.mean() - left_out
    spread = float((deviation**2).sum())
    skew = float((deviation**3).sum()) / (6.0 * spread**1.5) if spread > 0.0 else 0.0
    z = z0 + special.ndtri(levels)
    adjusted: FloatVector = special.ndtr(z0 + z / np.maximum(1.0 - skew * z, 1e-6))
    return adjusted
