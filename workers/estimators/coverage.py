"""Coverage G(τ): the share of prompts whose success probability is at least τ."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from workers.estimators.counts import clopper_pearson
from workers.estimators.estimate import Estimate

Ints = NDArray[np.int64]
#: Share of the error spent on deciding, prompt by prompt, on which side of τ it lies.
PROMPT_SHARE: Final = 0.5


def coverage(successes: Ints, ns: Ints, tau: float, confidence: float = 0.95) -> Estimate:
    """G(τ) = P_x(a_x >= τ), with an interval for the population of prompts.

    The value is the share of prompts with c/n >= τ. The interval also holds the noise of each c/n: a prompt
    counts as above only if its one-sided Clopper-Pearson bound at level e is. If K of M do, P(above) is
    at most G + e·(1 - G), so a lower bound L for it gives G >= (L - e)/(1 - e); the upper end is the mirror
    image.

    Args:
        successes: c of each prompt. Shape ``(M,)``.
        ns: n of each prompt, >= 1. Shape ``(M,)``.
        tau: Threshold in (0, 1].
        confidence: Nominal coverage.

    Raises:
        ValueError: `tau` is out of range, or a count is.
    """
    c, n = np.asarray(successes), np.asarray(ns)
    if not 0 < tau <= 1 or c.shape != n.shape or (n < 1).any() or (c < 0).any() or (c > n).any():
        raise ValueError("need 0 < tau <= 1 and 0 <= c <= n with n >= 1")
    prompts = int(c.size)
    if prompts == 0:
        return Estimate.undefined("no prompts", "share")
    share = int((c >= tau * n).sum()) / prompts
    error = PROMPT_SHARE * (1 - confidence) / 2
    low, high = _ends(c, n, tau, error)
    unseen = bool((tau * n < 1).any())
    return Estimate(
        value=share,
        std_error=math.sqrt(share * (1 - share) / (prompts - 1)) if prompts > 1 else None,
        ci_low=min(low, share),
        ci_high=max(high, share),
        confidence=confidence,
        n=prompts,
        unit="share",
        status="unreliable" if unseen else "ok",
        reason="tau lies below one success in n" if unseen else "",
    )


def coverage_sampling_error(successes: Ints, ns: Ints, tau: float) -> float:
    """Standard error of the share for this very set of prompts: each c resampled as Binomial(n, c/n)."""
    c, n = np.asarray(successes), np.asarray(ns)
    least = np.ceil(tau * n - 1e-9)
    above = stats.binom.sf(least - 1, n, c / n)
    return float(np.sqrt(np.sum(above * (1 - above)))) / max(int(c.size), 1)


def _ends(c: Ints, n: Ints, tau: float, error: float) -> tuple[float, float]:
    bounds = [clopper_pearson(int(ci), int(ni), 1 - 2 * error) for ci, ni in zip(c, n, strict=True)]
    prompts = len(bounds)
    above = sum(low >= tau for low, _ in bounds)
    below = sum(high < tau for _, high in bounds)
    rest = 1 - 2 * error
    surely_above, _ = clopper_pearson(above, prompts, rest)
    surely_below, _ = clopper_pearson(below, prompts, rest)
    low = max((surely_above - error) / (1 - error), 0.0)
    return low, 1 - max((surely_below - error) / (1 - error), 0.0)
