"""pass@k: the chance that at least one of k samples succeeds.

Only for samples whose number was fixed in advance (the pilot): an adaptively stopped c/n biases it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from workers.estimators.counts import clopper_pearson
from workers.estimators.estimate import Estimate
from workers.estimators.families import cluster_error, few_units
from workers.estimators.resampling import population_interval
from workers.numerics.checks import count_vectors, counts

SATURATED: Final = 1.0 - 1e-9
"""From here on a prompt counts as solved at its budget: so near to 1 there is no spread to resample."""


@dataclass(frozen=True, slots=True)
class PassAtK:
    """One point of a pass@k curve over M prompts.

    Attributes:
        k: Budget in samples.
        mean: Mean over prompts, unit ``probability``, n = M. Its interval and standard error are for the
            population that the prompts were drawn from.
        sampling_std_error: Standard error about the mean of the *listed* prompts; None if undefined.
    """

    k: int
    mean: Estimate
    sampling_std_error: float | None


def pass_at_k(n: int, c: int, k: int) -> float | None:
    """The unbiased estimator 1 - C(n-c, k)/C(n, k) (Chen et al. 2021).

    Args:
        n: Samples, fixed in advance.
        c: Successes.
        k: Budget, at least 1.

    Returns:
        None if k > n: fewer samples than the budget show nothing about it.

    Raises:
        ValueError: Counts out of range or k < 1.
    """
    all_fail = _all_fail(n, c, k)
    return None if all_fail is None else -math.expm1(all_fail)


def pass_at_k_variance(n: int, a: float, k: int) -> float:
    """Exact variance of `pass_at_k` over c ~ Binomial(n, a), by enumeration.

    Args:
        n: Samples, at least k.
        a: Chance of success of one sample, in [0, 1].
        k: Budget, at least 1.

    Raises:
        ValueError: k > n, or an argument out of range.
    """
    if not 0.0 <= a <= 1.0 or not 1 <= k <= n:
        raise ValueError("needs 0 <= a <= 1 and 1 <= k <= n")
    failures = np.exp([_all_fail(n, c, k) or 0.0 for c in range(n + 1)])
    weights = stats.binom.pmf(np.arange(n + 1), n, a)
    # Centred at the known mean (1-a)^k: no difference of squares.
    return float(np.sum(weights * (failures - (1.0 - a) ** k) ** 2))


def pass_at_k_sampling_variance(n: int, c: int, k: int) -> float | None:
    """Estimated variance of `pass_at_k`, from the same samples.

    With f_k = C(n-c, k)/C(n, k), unbiased for (1-a)^k, the estimate f_k^2 - f_2k is unbiased where 2k <= n
    and never negative. Above, the exact variance at a = (c + 1/2)/(n + 1), which is not zero at c = 0.

    Returns:
        None if k > n or n = 1.

    Raises:
        ValueError: As `pass_at_k`.
    """
    log_fail = _all_fail(n, c, k)
    if log_fail is None or n < 2:
        return None
    if 2 * k > n:
        return pass_at_k_variance(n, (c + 0.5) / (n + 1.0), k)
    log_double = _all_fail(n, c, 2 * k)
    fail, double = math.exp(log_fail), math.exp(-math.inf if log_double is None else log_double)
    return max(fail * fail - double, 0.0)


def mean_pass_at_k(
    ns: ArrayLike,
    cs: ArrayLike,
    k: int,
    rng: np.random.Generator,
    *,
    confidence: float = 0.95,
    families: ArrayLike | None = None,
    resamples: int = 2000,
) -> PassAtK:
    """Mean pass@k over prompts, with a `population_interval` over prompts or families.

    Where the prompts are all 0 or all `SATURATED` the bootstrap has no spread; the interval is then
    Clopper-Pearson on the families, which is valid for the mean of any [0, 1] variable: P(X = 0) <= 1 - E[X],
    and E[X] >= s P(X >= s).

    Args:
        ns: Samples per prompt. Shape ``(M,)``.
        cs: Successes per prompt. Shape ``(M,)``.
        k: Budget, at least 1.
        rng: Source of randomness.
        confidence: Coverage of the population interval.
        families: One label per prompt, or None. Shape ``(M,)``.
        resamples: Bootstrap replicates.

    Returns:
        Undefined if there is no prompt or one has fewer than k samples.

    Raises:
        ValueError: Counts out of range or k < 1.
    """
    successes, samples = count_vectors(cs, ns)
    pairs = [(int(n), int(c)) for n, c in zip(samples, successes, strict=True)]
    points = [pass_at_k(n, c, k) for n, c in pairs]
    values = np.array([point for point in points if point is not None])
    if not points or values.size < len(points):
        reason = "no prompts" if not points else f"a prompt has fewer than {k} samples"
        return PassAtK(k, Estimate.undefined(reason, "probability", len(points)), None)
    units = len(points) if families is None else len(set(np.array(families).tolist()))
    mean = min(float(values.mean()), 1.0)
    interval = population_interval(
        values, rng, confidence=confidence, resamples=resamples, families=families
    ) or _degenerate_interval(values, units, confidence)
    low, high = (max(interval[0], 0.0), min(interval[1], 1.0)) if interval else (None, None)
    doubt = few_units(units, len(points))
    estimate = Estimate(
        value=mean,
        std_error=cluster_error(values, families),
        ci_low=low,
        ci_high=high,
        confidence=confidence if interval else None,
        n=len(points),
        unit="probability",
        status="unreliable" if doubt else "ok",
        reason=doubt,
    )
    return PassAtK(k, estimate, _sampling_error(pairs, k))


def pass_at_k_curve(
    ns: ArrayLike,
    cs: ArrayLike,
    ks: Sequence[int],
    rng: np.random.Generator,
    *,
    confidence: float = 0.95,
    families: ArrayLike | None = None,
) -> list[PassAtK]:
    """`mean_pass_at_k` at every budget in `ks`; points beyond the fewest samples are undefined.

    pass@k never falls as k grows. Where every prompt is at 1, its interval for want of spread is the widest
    of all; the lower end of the next smaller budget holds there as well and is kept.
    """
    curve = {
        k: mean_pass_at_k(ns, cs, k, rng, confidence=confidence, families=families) for k in dict.fromkeys(ks)
    }
    below: float | None = None
    for k in sorted(curve):
        mean = curve[k].mean
        if (
            mean.value is not None
            and mean.value >= SATURATED
            and mean.ci_low is not None
            and below is not None
            and mean.ci_low < below
        ):
            mean = replace(mean, ci_low=below)
            curve[k] = replace(curve[k], mean=mean)
        below = mean.ci_low if mean.ci_low is not None else below
    return [curve[k] for k in ks]


def _all_fail(n: int, c: int, k: int) -> float | None:
    """``log [C(n-c, k)/C(n, k)]``, as the product of (1 - k/j) for j in n-c+1..n; None if k > n."""
    counts(c, n)
    if k < 1:
        raise ValueError("the budget is at least one sample")
    if k > n:
        return None
    if n - c < k:
        return -math.inf
    return float(np.log1p(-k / np.arange(n - c + 1, n + 1)).sum())


def _sampling_error(pairs: list[tuple[int, int]], k: int) -> float | None:
    variances = [pass_at_k_sampling_variance(n, c, k) for n, c in pairs]
    known = [variance for variance in variances if variance is not None]
    return math.sqrt(math.fsum(known)) / len(pairs) if len(known) == len(pairs) else None


def _degenerate_interval(values: np.ndarray, units: int, confidence: float) -> tuple[float, float] | None:
    if np.all(values == 0.0):
        return clopper_pearson(0, units, confidence)
    if np.all(values >= SATURATED):
        low, high = clopper_pearson(units, units, confidence)
        return SATURATED * low, high
    return None
