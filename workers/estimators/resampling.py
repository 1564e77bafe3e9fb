"""Resampling prompts, families of prompts, and samples within prompts."""

import math
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from workers.estimators.families import family_means, family_totals, linearised
from workers.estimators.sample_mean import hall_interval
from workers.numerics.checks import FloatVector, count_vectors, open_unit

_BLOCK_CELLS = 4_000_000

WIDEST: Final = 1.0 - 1e-9
"""Confidence of percentiles that are the ends of all resamples: two units expand to more than a double
holds."""


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
    means = np.empty(resamples)
    step = max(1, _BLOCK_CELLS // sums.size)
    for start in range(0, resamples, step):
        block = min(step, resamples - start)
        picked = rng.integers(0, sums.size, size=(block, sums.size))
        means[start : start + block] = sums[picked].sum(axis=1) / sizes[picked].sum(axis=1)
    return means


def expanded_tail(units: int, confidence: float) -> float:
    """The tail that a percentile interval of few units leaves out at a side (Hesterberg 2015).

    Percentiles of resampled means are too short by the factor sqrt((F - 1)/F) and by the normal quantile in
    place of Student's; the tail is shrunk until both are made good.

    Args:
        units: Families F, at least 2.
        confidence: Coverage, in (0, 1).
    """
    quantile = float(special.stdtrit(units - 1, 0.5 + open_unit(confidence, "confidence") / 2))
    return float(special.ndtr(-math.sqrt(units / (units - 1)) * quantile))


def population_interval(
    values: ArrayLike,
    rng: np.random.Generator,
    *,
    confidence: float,
    resamples: int = 2000,
    families: ArrayLike | None = None,
) -> tuple[float, float] | None:
    """A two-sided interval for a population mean that covers with few units and skewed values.

    The union of `bootstrap_interval` with its tails expanded (`expanded_tail`) and of Hall's transformed
    Student's t (`sample_mean.hall_interval`) of the families. On success rates of ten prompts BCa alone holds
    89 % at 95 %, expanded 93 %, the union 96 %; at 40 prompts the union is 9 % wider than BCa.

    Args:
        values: One number per prompt. Shape ``(M,)``.
        rng: Source of randomness.
        confidence: Coverage, in (0, 1).
        resamples: Number of replicates.
        families: As `bootstrap_means`.

    Returns:
        As `bootstrap_interval`.

    Raises:
        ValueError: As `bootstrap_interval`.
    """
    units = linearised(values, families)
    if units.size < 2:
        return None
    level = min(1.0 - 2.0 * expanded_tail(units.size, confidence), WIDEST)
    resampled = bootstrap_interval(values, rng, confidence=level, resamples=resamples, families=families)
    if resampled is None:
        return None
    low, high = hall_interval(np.sort(units), confidence)
    return min(low, resampled[0]), max(high, resampled[1])


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
    low, high = np.quantile(means, levels)
    return float(low), float(high)


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
