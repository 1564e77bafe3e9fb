"""Coverage G(τ): the share of prompts whose success probability is at least τ."""

import math
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from workers.estimators.counts import clopper_pearson
from workers.estimators.estimate import Estimate
from workers.estimators.families import cluster_error, few_units
from workers.estimators.resampling import bootstrap_interval

Ints = NDArray[np.int64]
#: Share of the error spent on deciding, prompt by prompt, on which side of τ it lies.
PROMPT_SHARE: Final = 0.5


def coverage(
    successes: Ints,
    ns: Ints,
    tau: float,
    rng: np.random.Generator,
    confidence: float = 0.95,
    families: ArrayLike | None = None,
) -> Estimate:
    """G(τ) = P_x(a_x >= τ), with an interval for the population of prompts or families.

    The value is the share of prompts with c/n >= τ. The interval also holds the noise of each c/n: a prompt
    counts as above only if its one-sided Clopper-Pearson bound at level e is. If K of M do, P(above) is
    at most G + e·(1 - G), so a lower bound L for it gives G >= (L - e)/(1 - e); the upper end is the mirror
    image. L is Clopper-Pearson's over prompts. Prompts of a family are no independent trials: there L comes
    from a bootstrap over families, joined to Student's interval, and where no or every prompt is above from
    Clopper-Pearson on the families, which holds for the mean of any [0, 1] variable.

    Args:
        successes: c of each prompt. Shape ``(M,)``.
        ns: n of each prompt, >= 1. Shape ``(M,)``.
        tau: Threshold in (0, 1].
        rng: Source of the resamples; used with families only.
        confidence: Nominal coverage.
        families: One label per prompt, or None where prompts are independent. Shape ``(M,)``.

    Raises:
        ValueError: `tau` is out of range, or a count is.
    """
    c, n = np.asarray(successes), np.asarray(ns)
    if not 0 < tau <= 1 or c.shape != n.shape or (n < 1).any() or (c < 0).any() or (c > n).any():
        raise ValueError("need 0 < tau <= 1 and 0 <= c <= n with n >= 1")
    prompts = int(c.size)
    if prompts == 0:
        return Estimate.undefined("no prompts", "share")
    above = c >= tau * n
    share = int(above.sum()) / prompts
    labels = _shared(families, prompts)
    low, high = _ends(c, n, tau, PROMPT_SHARE * (1 - confidence) / 2, labels, rng)
    doubts = [
        "tau lies below one success in n" if bool((tau * n < 1).any()) else "",
        "" if labels is None else few_units(len(np.unique(labels)), prompts),
    ]
    reason = "; ".join(filter(None, doubts))
    return Estimate(
        value=share,
        std_error=_error(above, share, labels),
        ci_low=min(low, share),
        ci_high=max(high, share),
        confidence=confidence,
        n=prompts,
        unit="share",
        status="unreliable" if reason else "ok",
        reason=reason,
    )


def coverage_sampling_error(successes: Ints, ns: Ints, tau: float) -> float:
    """Standard error of the share for this very set of prompts: each c resampled as Binomial(n, c/n)."""
    c, n = np.asarray(successes), np.asarray(ns)
    least = np.ceil(tau * n - 1e-9)
    above = stats.binom.sf(least - 1, n, c / n)
    return float(np.sqrt(np.sum(above * (1 - above)))) / max(int(c.size), 1)


def _error(above: NDArray[np.bool_], share: float, labels: NDArray[Any] | None) -> float | None:
    if labels is not None:
        return cluster_error(above.astype(np.float64), labels)
    return math.sqrt(share * (1 - share) / (above.size - 1)) if above.size > 1 else None


def _shared(families: ArrayLike | None, prompts: int) -> NDArray[Any] | None:
    """The labels, if any two prompts share one."""
    if families is None:
        return None
    labels = np.array(families)
    if labels.shape != (prompts,):
        raise ValueError("one family per prompt")
    return labels if np.unique(labels).size < prompts else None


def _ends(
    c: Ints, n: Ints, tau: float, error: float, labels: NDArray[Any] | None, rng: np.random.Generator
) -> tuple[float, float]:
    bounds = [clopper_pearson(int(ci), int(ni), 1 - 2 * error) for ci, ni in zip(c, n, strict=True)]
    above = np.array([low >= tau for low, _ in bounds])
    below = np.array([high < tau for _, high in bounds])
    surely_above, surely_below = (_least_share(one, 1 - 2 * error, labels, rng) for one in (above, below))
    low = max((surely_above - error) / (1 - error), 0.0)
    return low, 1 - max((surely_below - error) / (1 - error), 0.0)


def _least_share(
    marked: NDArray[np.bool_], confidence: float, labels: NDArray[Any] | None, rng: np.random.Generator
) -> float:
    """The lower end of a two-sided interval for the share of the population that is marked."""
    if labels is None:
        return clopper_pearson(int(marked.sum()), marked.size, confidence)[0]
    units = int(np.unique(labels).size)
    if not marked.any():
        return 0.0
    if marked.all():
        return clopper_pearson(units, units, confidence)[0]
    values = marked.astype(np.float64)
    error = cluster_error(values, labels)
    ends = bootstrap_interval(values, rng, confidence=confidence, families=labels)
    if ends is None or error is None:  # one family, or families that all look alike
        return clopper_pearson(0, units, confidence)[0]
    t = float(special.stdtrit(units - 1, 0.5 + confidence / 2))
    return max(min(ends[0], float(values.mean()) - t * error), 0.0)
