"""pass@k: the chance that at least one of k samples succeeds.

Only for samples whose number was fixed in advance (the pilot): an adaptively stopped c/n biases it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from workers.estimators.estimate import Estimate
from workers.estimators.families import cluster_error, few_units
from workers.estimators.resampling import bounded_interval
from workers.numerics.checks import FloatVector, count_vectors, counts


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
    failures = _failures(n, k)
    weights = stats.binom.pmf(np.arange(n + 1), n, a)
    # Centred at the known mean (1-a)^k: no difference of squares.
    return float(np.sum(weights * (failures - (1.0 - a) ** k) ** 2))


@lru_cache(maxsize=16384)
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
    """Mean pass@k over prompts, with a `bounded_interval` over prompts or families.

    pass@k crowds at 0 for small budgets and at 1 for large ones. Few prompts there hardly differ, and say
    little of the prompts that would: the interval is as wide as that, Clopper-Pearson's at the ends.

    Args:
        ns: Samples per prompt. Shape ``(M,)``.
        cs: Successes per prompt. Shape ``(M,)``.
        k: Budget, at least 1.
        rng: Source of randomness.
        confidence: Coverage of the population interval.
        families: One label per prompt, or None. Shape ``(M,)``.
        resamples: Weights that the interval is read from.

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
    low, high = bounded_interval(values, rng, confidence=confidence, resamples=resamples, families=families)
    doubt = few_units(units, len(points))
    estimate = Estimate(
        value=mean,
        std_error=cluster_error(values, families),
        ci_low=min(low, mean),
        ci_high=max(high, mean),
        confidence=confidence,
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

    pass@k never falls as k grows, and neither does an end of its interval: all points share their weights,
    and where Monte Carlo error turns the order round, the narrower interval is widened.
    """
    seed = int(rng.integers(2**63))
    points = {
        k: mean_pass_at_k(ns, cs, k, np.random.default_rng(seed), confidence=confidence, families=families)
        for k in sorted(set(ks))
    }
    lows = {k: low for k, point in points.items() if (low := point.mean.ci_low) is not None}
    highs = {k: high for k, point in points.items() if (high := point.mean.ci_high) is not None}
    for k in lows:
        low = min(other for budget, other in lows.items() if budget >= k)
        high = max(other for budget, other in highs.items() if budget <= k)
        points[k] = replace(points[k], mean=replace(points[k].mean, ci_low=low, ci_high=high))
    return [points[k] for k in ks]


@lru_cache(maxsize=16384)
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


@lru_cache(maxsize=64)
def _failures(n: int, k: int) -> FloatVector:
    """C(n-c, k)/C(n, k) for each number of successes c: prompts of one size share it. Shape ``(n + 1,)``."""
    return np.exp([_all_fail(n, c, k) or 0.0 for c in range(n + 1)])


def _sampling_error(pairs: list[tuple[int, int]], k: int) -> float | None:
    variances = [pass_at_k_sampling_variance(n, c, k) for n, c in pairs]
    known = [variance for variance in variances if variance is not None]
    return math.sqrt(math.fsum(known)) / len(pairs) if len(known) == len(pairs) else None
