"""The gain of a data set by cause, and the share of it that was created, with two kinds of interval.

*Sampling* intervals resample the samples within each prompt: they are about the listed prompts, and the
verdict uses them. *Population* intervals resample prompts, or families where given: they are about the
prompts that these stand for. Design page "What Tiltscope measures", section 5.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from workers.estimators.counts import clopper_pearson
from workers.estimators.estimate import Estimate
from workers.estimators.families import few_units, linearised
from workers.estimators.gain import (
    CREATED,
    ELICITED,
    LOST,
    PARTS,
    RESAMPLES,
    UNDETERMINED,
    UNIT,
    CrossFit,
    FloatArray,
)
from workers.estimators.resampling import expanded_tail
from workers.estimators.sample_mean import hall_interval
from workers.numerics.quantiles import quantile

NO_GAIN: Final = "the gain of the prompts that are not lost is not positive"
NO_PROMPTS: Final = "no prompt has judged samples on both sides"


@dataclass(frozen=True, slots=True)
class GainPart:
    """One part of the data-set gain, a mean over prompts.

    Attributes:
        estimate: Value, with the interval for the population of prompts or families.
        sampling_std_error: One standard error for this set of prompts; None if undefined.
        sampling_low: Lower end of the interval for this set of prompts.
        sampling_high: Upper end of it.
    """

    estimate: Estimate
    sampling_std_error: float | None
    sampling_low: float | None
    sampling_high: float | None


@dataclass(frozen=True, slots=True)
class GainSplit:
    """The total gain and its four parts, which sum to it."""

    total: GainPart
    elicited: GainPart
    created: GainPart
    lost: GainPart
    undetermined: GainPart


@dataclass(frozen=True, slots=True)
class CreationShare:
    """The creation share of the gain that is not lost: a partially identified interval.

    Attributes:
        lower: Undetermined gain counted as elicited; interval for this set of prompts.
        upper: Undetermined gain counted as created; interval for this set of prompts.
        population_lower: The same value, with the interval for the population.
        population_upper: Likewise for the upper end.
    """

    lower: Estimate
    upper: Estimate
    population_lower: Estimate
    population_upper: Estimate


@dataclass(frozen=True, slots=True)
class Shares:
    """What one cross-fit says: the split, the share, and the resamples behind both."""

    gain: GainSplit
    creation: CreationShare


def data_set_shares(
    fit: CrossFit, *, confidence: float, rng: np.random.Generator, resamples: int = RESAMPLES
) -> Shares:
    """The gain split and the creation share of a data set.

    Args:
        fit: The cross-fitted prompts.
        confidence: Coverage of every interval.
        rng: Source of all resampling.
        resamples: Draws of either kind.
    """
    if fit.size == 0:
        empty = GainPart(Estimate.undefined(NO_PROMPTS, UNIT), None, None, None)
        share = Estimate.undefined(NO_PROMPTS, "share")
        split = GainSplit(empty, empty, empty, empty, empty)
        return Shares(split, CreationShare(share, share, share, share))
    sampled = fit.resample(rng, resamples)
    bootstrap = _resample_families(fit, rng, resamples)
    return Shares(
        _gain_split(fit, sampled, bootstrap, confidence), _creation_share(fit, sampled, bootstrap, confidence)
    )


def _gain_split(fit: CrossFit, sampled: FloatArray, bootstrap: FloatArray, confidence: float) -> GainSplit:
    values = fit.contributions().mean(axis=0)
    parts = [
        _gain_part(fit, code, float(value), sampled, bootstrap, confidence)
        for code, value in enumerate(values)
    ]
    # The sum of the parts, in their printed order: no rounding separates it from them.
    total = sum(float(value) for value in values)
    return GainSplit(_gain_part(fit, None, total, sampled, bootstrap, confidence), *parts)


def _gain_part(
    fit: CrossFit,
    code: int | None,
    value: float,
    sampled: FloatArray,
    bootstrap: FloatArray,
    confidence: float,
) -> GainPart:
    """Intervals of a part, or of the total (code None), from draws of all the parts."""
    columns = list(range(len(PARTS))) if code is None else [code]
    draws = sampled[:, columns].sum(axis=1)
    lows = draws - sampled[:, 4] if code == CREATED else draws
    low, high = _percentiles(lows, draws, (1 - confidence) / 2, value)
    std_error = float(np.std(draws, ddof=1))
    if _units(fit) < 2:
        reason = "one prompt or family: the interval is for this set of prompts"
        estimate = _part(value, std_error, low, high, confidence, fit.size, reason)
        return GainPart(estimate, std_error, low, high)
    spread = bootstrap[:, columns].sum(axis=1)
    bias = float(fit.created_slack().mean()) if code == CREATED else 0.0
    population = _population_interval(spread - bias, spread, value, _units(fit), confidence)
    contributions = fit.contributions()[:, columns].sum(axis=1)
    skewed = hall_interval(np.sort(linearised(contributions, fit.families)), confidence)
    population = min(population[0], skewed[0] - bias), max(population[1], skewed[1])
    if code is not None:
        population = _widen_by_count(fit, code, *population, confidence)
    population = max(-1.0, population[0]), min(1.0, population[1])
    if code == CREATED:  # the truth of a created part is not negative, of a lost part not positive
        population = max(population[0], min(0.0, value)), population[1]
    elif code == LOST:
        population = population[0], min(population[1], max(0.0, value))
    # Families drawn with replacement vary by (F - 1)/F of their variance.
    population_error = float(np.std(spread, ddof=1)) * math.sqrt(_units(fit) / (_units(fit) - 1))
    doubt = few_units(_units(fit), fit.size)
    return GainPart(
        _part(value, population_error, *population, confidence, fit.size, doubt), std_error, low, high
    )


def _part(
    value: float, std_error: float, low: float, high: float, confidence: float, n: int, reason: str
) -> Estimate:
    return Estimate(
        value=value,
        std_error=std_error,
        ci_low=low,
        ci_high=high,
        confidence=confidence,
        n=n,
        unit=UNIT,
        status="unreliable" if reason else "ok",
        reason=reason,
    )


def _percentiles(lows: FloatArray, highs: FloatArray, tail: float, value: float) -> tuple[float, float]:
    """The percentile interval, stretched to hold the point."""
    low, high = quantile(lows, tail), quantile(highs, 1 - tail)
    return min(low, value), max(high, value)


def _units(fit: CrossFit) -> int:
    return int(np.unique(fit.families).size)


def _unit_interval(interval: tuple[float, float]) -> tuple[float, float]:
    return max(0.0, interval[0]), min(1.0, interval[1])


def _population_interval(
    lows: FloatArray, highs: FloatArray, value: float, units: int, confidence: float
) -> tuple[float, float]:
    """The union of an expanded percentile interval and Student's, from draws of families.

    Few units make a percentile interval short: its tail is expanded (Hesterberg 2015), and since no draw
    leaves the range of the data, Student's interval is joined to it.
    """
    low, high = _percentiles(lows, highs, expanded_tail(units, confidence), value)
    bias = float(np.mean(highs - lows))
    expansion = math.sqrt(units / (units - 1))
    reach = float(special.stdtrit(units - 1, 0.5 + confidence / 2)) * expansion * float(np.std(highs, ddof=1))
    return min(low, value - bias - reach), max(high, value + reach)


def _resample_families(fit: CrossFit, rng: np.random.Generator, resamples: int) -> FloatArray:
    """Data-set means of the four parts when families are drawn again. Shape ``(resamples, 4)``."""
    names, position = np.unique(fit.families, return_inverse=True)
    sums = np.zeros((names.size, len(PARTS)))
    np.add.at(sums, position, fit.contributions())
    sizes = np.bincount(position).astype(np.float64)
    order = np.lexsort([sizes, *sums.T])  # names must not decide which family a draw picks
    draws = rng.multinomial(names.size, np.full(names.size, 1 / names.size), resamples)
    means: FloatArray = (draws @ sums[order]) / (draws @ sizes[order])[:, None]
    return means


def _count(fit: CrossFit, codes: tuple[int, ...]) -> tuple[int, int, int]:
    """Units where some fold shows one of the causes, units where all folds do, and all units."""
    seen: NDArray[np.bool_] = np.isin(fit.causes_seen(), codes)
    units = np.unique(fit.families)
    some = sum(bool(seen[fit.families == unit].any()) for unit in units)
    every = sum(bool(seen[fit.families == unit].all()) for unit in units)
    return some, every, int(units.size)


def _missed(units: int, confidence: float) -> float:
    """The largest share of the population that none of `units` may leave unseen, one-sided.

    One-sided because the other end is exact: 0 of 20 leaves up to 14 % at 95 %.
    """
    return clopper_pearson(0, units, 2 * confidence - 1)[1]


def _widen_by_count(
    fit: CrossFit, code: int, low: float, high: float, confidence: float
) -> tuple[float, float]:
    """What no bootstrap can see: prompts of a kind that is absent, or that is all there is."""
    some, every, units = _count(fit, (code,))
    missed = _missed(units, confidence)
    if some == 0:
        return (0.0 if code == CREATED else -missed), (0.0 if code == LOST else missed)
    if every == units:
        return min(low, low * (1 - missed)), max(high, high * (1 - missed))
    return low, high


def _creation_share(
    fit: CrossFit, sampled: FloatArray, bootstrap: FloatArray, confidence: float
) -> CreationShare:
    values = fit.contributions().mean(axis=0)[None, :]
    if _lasting(values)[0] <= 0:
        none = Estimate.undefined(NO_GAIN, "share", fit.size)
        return CreationShare(none, none, none, none)
    slack = float(fit.created_slack().mean())
    tail = (1 - confidence) / 2
    point_low, point_high = (float(end[0]) for end in share_ends(values, 0.0))
    # An out reference may hide a success rate up to epsilon: the lower end of created gain gives it up.
    cautious, (plain, upper) = share_ends(sampled, sampled[:, 4])[0], share_ends(sampled, 0.0)
    lower_ci = _percentiles(cautious, plain, tail, point_low)
    upper_ci = _percentiles(upper, upper, tail, point_high)
    lower = _share(point_low, plain, lower_ci, confidence, fit.size)
    upper_end = _share(point_high, upper, upper_ci, confidence, fit.size)
    if _units(fit) < 2:
        return CreationShare(lower, upper_end, lower, upper_end)
    units = _units(fit)
    cautious, (plain, upper) = share_ends(bootstrap, slack)[0], share_ends(bootstrap, 0.0)
    lower_ci = _unit_interval(_population_interval(cautious, plain, point_low, units, confidence))
    upper_ci = _unit_interval(_population_interval(upper, upper, point_high, units, confidence))
    lower_ci = _widen_share(fit, (CREATED,), *lower_ci, confidence)
    upper_ci = _widen_share(fit, (CREATED, UNDETERMINED), *upper_ci, confidence)
    return CreationShare(
        lower,
        upper_end,
        _share(point_low, plain, lower_ci, confidence, fit.size),
        _share(point_high, upper, upper_ci, confidence, fit.size),
    )


def _lasting(parts: FloatArray) -> FloatArray:
    """G+ : the gain that is not lost. Shape ``(R,)``."""
    lasting: FloatArray = parts[:, ELICITED] + parts[:, CREATED] + parts[:, UNDETERMINED]
    return lasting


def share_ends(parts: FloatArray, slack: FloatArray | float) -> tuple[FloatArray, FloatArray]:
    """Both ends of the creation share, clipped to [0, 1]; the whole range where there is no gain.

    Args:
        parts: Data-set means in the order of `PARTS`. Shape ``(R, >= 4)``.
        slack: Bias of the created part to give up at the lower end. Shape ``(R,)`` or a number.

    Returns:
        [created/G+, (created + undetermined)/G+], each of shape ``(R,)``. Noise can make the undetermined
        part negative; it then adds nothing to the upper end.
    """
    created = parts[:, CREATED] - slack
    lasting = _lasting(parts) - slack
    gains = lasting > 0
    scale = np.where(gains, lasting, 1.0)
    low = np.where(gains, np.clip(created / scale, 0.0, 1.0), 0.0)
    open_gain = np.maximum(parts[:, UNDETERMINED], 0.0)
    high = np.where(gains, np.clip((created + open_gain) / scale, 0.0, 1.0), 1.0)
    return low, high


def _share(
    value: float, draws: FloatArray, interval: tuple[float, float], confidence: float, n: int
) -> Estimate:
    return Estimate(
        value=value,
        std_error=float(np.std(draws, ddof=1)),
        ci_low=interval[0],
        ci_high=interval[1],
        confidence=confidence,
        n=n,
        unit="share",
    )


def _widen_share(
    fit: CrossFit, codes: tuple[int, ...], low: float, high: float, confidence: float
) -> tuple[float, float]:
    some, every, units = _count(fit, codes)
    missed = _missed(units, confidence)
    if some == 0:
        return 0.0, max(high, missed)
    return (min(low, 1 - missed), high) if every == units else (low, high)
