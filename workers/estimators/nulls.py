"""Nulls shipped with every report: silence where there is nothing, a finding where something was planted.

Each runs over random splits of reference samples that were already drawn. The budgets of an analysis need
more samples than a half of the pilot holds, so each null judges at the largest K' that a half can certify
`out` without a single success. Design page "What Tiltscope measures", section 6.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binom

from workers.estimators.counts import epsilon, log_e_in, log_e_out
from workers.estimators.gain import FloatArray, IntArray
from workers.estimators.selection import e_bh_rows, log_target
from workers.estimators.sign_flip import sign_flip_test

NullName = Literal["aa", "tilt", "planted"]
NullStatus = Literal["passed", "failed", "not_run"]
SPLITS: Final = 200
BOUND: Final = 0.999
PLANTED_RATE: Final = 0.5
FLIPS: Final = 999


@dataclass(frozen=True, slots=True, kw_only=True)
class NullResult:
    """The answer of one null.

    Attributes:
        null: Which one.
        status: `failed` only beyond the binomial 99.9 % bound; then the verdict is withheld.
        expected: For each statistic, the rate the null allows at most (`planted`: shows on average).
        observed: The rates over prompts and splits; empty if not run.
        reason: What happened, or what it would need.
    """

    null: NullName
    status: NullStatus
    expected: Mapping[str, float]
    observed: Mapping[str, float]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NullSettings:
    """Levels and budgets of the analysis."""

    k_use: int
    k_probe: int
    alpha: float
    reach: float
    splits: int = SPLITS


def certifiable_budget(n: int, *, log_level: float, reach: float, k_max: int) -> int:
    """The largest K <= k_max whose `out` n samples without a success can show; 0 if none.

    Searched, not taken as n/4.5: below K of about 50 the anytime e-value takes up to 5 K samples.
    """
    if n < 1 or log_e_out(0, n, epsilon(1, reach), n) < log_level:
        return 0
    low, high = 1, k_max + 1
    while high - low > 1:
        middle = (low + high) // 2
        if log_e_out(0, n, epsilon(middle, reach), n) >= log_level:
            low = middle
        else:
            high = middle
    return low


def samples_needed(*, log_level: float, reach: float) -> int:
    """The fewest reference samples a prompt whose halves can certify anything, K' = 1."""
    half = 1
    while certifiable_budget(half, log_level=log_level, reach=reach, k_max=1) == 0:
        half += 1
    return 2 * half


def aa_null(
    successes: ArrayLike, samples: ArrayLike, settings: NullSettings, rng: np.random.Generator
) -> NullResult:
    """One half of the reference's pilot against the other: no created prompt and no gain beyond chance.

    Given the samples of a prompt, a half is drawn without replacement, which is no more variable than fresh
    draws at their mean rate (Hoeffding 1963); so each e-value keeps its mean of at most 1 and each split is
    an independent trial. A created prompt needs two classes at the same rate of which at least one is
    false: chance at most alpha a prompt and split. Differences of equal halves are symmetric about zero.

    Args:
        successes: Pilot successes of the reference. Shape ``(M,)``.
        samples: Pilot samples of the reference, fixed in advance. Shape ``(M,)``.
        settings: Levels and budgets.
        rng: Source of the splits.
    """
    c, n = _counts(successes, samples)
    expected = {"created": settings.alpha, "gain": settings.alpha}
    least = math.ceil(-math.log2(settings.alpha))
    halves, reason = _halves(c, n, settings, -math.log(settings.alpha), least)
    if halves is None:
        return NullResult(null="aa", status="not_run", expected=expected, observed={}, reason=reason)
    first, second = halves.draw(rng, settings.splits)
    created = halves.created(first, second, halves.sizes)
    gains = (second - first) / halves.sizes
    significant = sum(sign_flip_test(np.sort(row), rng, FLIPS) <= settings.alpha for row in gains)
    observed = {"created": float(created.mean()), "gain": significant / settings.splits}
    trials = {"created": created.size, "gain": settings.splits}
    beyond = [name for name in expected if _beyond(observed[name], trials[name], expected[name])]
    return _result("aa", beyond, expected, observed, f"{settings.splits} splits at K' = {halves.k_probe}")


def tilt_null(
    successes: ArrayLike,
    samples: ArrayLike,
    candidate_rates: ArrayLike,
    settings: NullSettings,
    rng: np.random.Generator,
) -> NullResult:
    """One half against the other after a tilt to the candidate's success rate: no created prompt.

    Samples of the second half are accepted with probability proportional to exp(beta r), beta the matched
    inverse temperature logit b - logit a from rates shrunk to (c + 1/2)/(n + 1). Only prompts whose whole
    pilot is `in` at K' take part: a tilt of what is out of reach is creation by definition. Without a
    created prompt the verdict can only be `elicitation` or `inconclusive`.

    Args:
        successes: Pilot successes of the reference. Shape ``(M,)``.
        samples: Pilot samples of the reference. Shape ``(M,)``.
        candidate_rates: Pilot success rate of the candidate. Shape ``(M,)``.
        settings: Levels and budgets.
        rng: Source of the splits and of the acceptance.
    """
    c, n = _counts(successes, samples)
    rates = np.asarray(candidate_rates, np.float64)
    expected = {"created": settings.alpha}
    halves, reason = _halves(c, n, settings, -math.log(settings.alpha), 1)
    if halves is not None:
        threshold = epsilon(halves.k_probe, settings.reach)
        reached = np.array([log_e_in(int(x), int(m), threshold) for x, m in zip(c, n, strict=True)])
        within = reached >= -math.log(settings.alpha)
        halves, reason = _halves(c[within], n[within], settings, -math.log(settings.alpha), 1, halves.k_probe)
        c, n, rates = c[within], n[within], rates[within]
        reason = f"no prompt is in reach at K' within the pilot; {reason}" if reason else ""
    if halves is None:
        return NullResult(null="tilt", status="not_run", expected=expected, observed={}, reason=reason)
    first, second = halves.draw(rng, settings.splits)
    a, b = (c + 0.5) / (n + 1), (rates * n + 0.5) / (n + 1)
    kept, failures = tilt(second, halves.sizes - second, a, b, rng)
    created = halves.created(first, kept, kept + failures)
    observed = {"created": float(created.mean())}
    beyond = ["created"] if _beyond(observed["created"], created.size, settings.alpha) else []
    detail = f"{settings.splits} splits of {c.size} prompts in reach at K' = {halves.k_probe}"
    return _result("tilt", beyond, expected, observed, detail)


def tilt(
    successes: IntArray, failures: IntArray, a: FloatArray, b: FloatArray, rng: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """Accept samples of success rate a with probability proportional to exp(beta r), so that the rate is b.

    Args:
        successes: Successes drawn. Shape ``(R, M)``.
        failures: Failures drawn. Shape ``(R, M)``.
        a: Success rate of the samples, in (0, 1). Shape ``(M,)``.
        b: Success rate to match, in (0, 1). Shape ``(M,)``.
        rng: Source of the acceptance.

    Returns:
        Accepted successes and failures. Shapes ``(R, M)``.
    """
    weight = b / (1 - b) * (1 - a) / a  # exp(beta), beta = logit b - logit a
    return rng.binomial(successes, np.minimum(1.0, weight)), rng.binomial(
        failures, np.minimum(1.0, 1 / weight)
    )


def planted_null(
    successes: ArrayLike, samples: ArrayLike, settings: NullSettings, rng: np.random.Generator
) -> NullResult:
    """A made-up behaviour, absent from the reference, in half of the prompts: just those are created.

    In every split a random half of the prompts has its key replaced by the made-up behaviour: no sample of
    the first half shows it, and each sample of the second shows it with chance 1/2. The other prompts keep
    their own successes and must stay silent as in the A/A null.

    Args:
        successes: Pilot successes of the reference. Shape ``(M,)``.
        samples: Pilot samples of the reference. Shape ``(M,)``.
        settings: Levels and budgets.
        rng: Source of the splits and of the planting.
    """
    c, n = _counts(successes, samples)
    expected = {"planted": 1.0, "others": settings.alpha}
    planted_prompts = max(1, c.size // 2)
    level = log_target(max(c.size, 1), planted_prompts, settings.alpha)
    halves, reason = _halves(c, n, settings, level, 2)
    if halves is None:
        return NullResult(null="planted", status="not_run", expected=expected, observed={}, reason=reason)
    first, second = halves.draw(rng, settings.splits)
    planted = rng.random(first.shape).argsort(axis=1) < planted_prompts
    shown = rng.binomial(np.broadcast_to(halves.sizes, first.shape), PLANTED_RATE)
    first, second = np.where(planted, 0, first), np.where(planted, shown, second)
    created = halves.created(first, second, halves.sizes)
    sizes = halves.sizes.tolist()
    powers = {size: halves.power(size, PLANTED_RATE) for size in set(sizes)}
    power = min(1.0, float(np.mean([powers[size] for size in sizes])))
    expected["planted"] = power
    observed = {"planted": float(created[planted].mean()), "others": float(created[~planted].mean())}
    beyond = ["others"] if _beyond(observed["others"], int((~planted).sum()), settings.alpha) else []
    trials = int(planted.sum())
    if observed["planted"] * trials < binom.ppf(1 - BOUND, trials, power):
        beyond.append("planted")
    detail = f"{planted_prompts} of {c.size} planted, {settings.splits} splits at K' = {halves.k_probe}"
    return _result("planted", beyond, expected, observed, detail)


def withholding(results: Sequence[NullResult]) -> list[str]:
    """Why the verdict is withheld, one line per failed null."""
    return [
        f"the {result.null} null failed: {result.reason}" for result in results if result.status == "failed"
    ]


@dataclass(frozen=True, slots=True)
class _Halves:
    """The samples of each prompt, to be split into equal halves, and the budgets a half can judge."""

    successes: IntArray
    samples: IntArray
    sizes: IntArray
    k_use: int
    k_probe: int
    alpha: float
    reach: float

    def draw(self, rng: np.random.Generator, splits: int) -> tuple[IntArray, IntArray]:
        """Successes of the two halves; the odd sample is left out. Shapes ``(splits, M)``."""
        shape = (splits, self.successes.size)
        used = rng.hypergeometric(self.successes, self.samples - self.successes, 2 * self.sizes, shape)
        first = rng.hypergeometric(used, 2 * self.sizes - used, self.sizes)
        return first, used - first

    def created(self, first: IntArray, second: IntArray, second_sizes: IntArray) -> NDArray[np.bool_]:
        """Prompts `out` by the first half, kept by e-BH, and `in` by the second. Shape ``(splits, M)``."""
        columns = range(self.sizes.size)
        planned = [int(size) for size in self.sizes]
        tables = [_out_table(size, self.k_probe, self.reach) for size in planned]
        out = np.stack([tables[column][first[:, column]] for column in columns], axis=1)
        selected = e_bh_rows(out, self.alpha)
        sizes = np.broadcast_to(second_sizes, second.shape)
        # Few pairs of a count and a size differ.
        stride = int(sizes.max(initial=0)) + 1
        pairs, place = np.unique(second * stride + sizes, return_inverse=True)
        reached = [
            _is_in(*divmod(pair, stride), self.k_use, self.alpha, self.reach) for pair in pairs.tolist()
        ]
        created: NDArray[np.bool_] = selected & np.array(reached)[place].reshape(second.shape)
        return created

    def power(self, n: int, rate: float) -> float:
        """Chance that n samples at a success rate are `in` at K_use."""
        counts = np.arange(n + 1)
        reached = [_is_in(int(count), n, self.k_use, self.alpha, self.reach) for count in counts]
        return float(binom.pmf(counts, n, rate)[reached].sum())


@lru_cache(maxsize=1024)
def _out_table(n: int, budget: int, reach: float) -> FloatArray:
    return np.array([log_e_out(count, n, epsilon(budget, reach), n) for count in range(n + 1)], np.float64)


@lru_cache(maxsize=65536)
def _is_in(successes: int, n: int, budget: int, alpha: float, reach: float) -> bool:
    return n > 0 and log_e_in(successes, n, epsilon(budget, reach)) >= -math.log(alpha)


def _counts(successes: ArrayLike, samples: ArrayLike) -> tuple[IntArray, IntArray]:
    c, n = np.asarray(successes, np.int64), np.asarray(samples, np.int64)
    if c.shape != n.shape or c.ndim != 1 or bool(np.any((c < 0) | (c > n))):
        raise ValueError("successes and samples are vectors with 0 <= c <= n")
    return c, n


def _halves(
    c: IntArray,
    n: IntArray,
    settings: NullSettings,
    log_level: float,
    least_prompts: int,
    k_max: int | None = None,
) -> tuple[_Halves | None, str]:
    """The halves to draw, or why there are none."""
    needed = samples_needed(log_level=log_level, reach=settings.reach)
    if c.size < least_prompts or int(n.min(initial=needed)) < needed:
        return None, f"needs {needed} reference samples a prompt and {least_prompts} prompts"
    sizes = n // 2
    cap = settings.k_probe if k_max is None else k_max
    k_probe = certifiable_budget(int(sizes.min()), log_level=log_level, reach=settings.reach, k_max=cap)
    k_use = min(settings.k_use, k_probe)
    return _Halves(c, n, sizes, k_use, k_probe, settings.alpha, settings.reach), ""


def _beyond(rate: float, trials: int, level: float) -> bool:
    return bool(rate * trials > binom.ppf(BOUND, trials, level))


def _result(
    null: NullName,
    beyond: list[str],
    expected: Mapping[str, float],
    observed: Mapping[str, float],
    detail: str,
) -> NullResult:
    if not beyond:
        return NullResult(null=null, status="passed", expected=expected, observed=observed, reason=detail)
    rates = ", ".join(f"{name} {observed[name]:.3f} where {expected[name]:.3f} is due" for name in beyond)
    return NullResult(
        null=null, status="failed", expected=expected, observed=observed, reason=f"{rates}; {detail}"
    )
