"""KL(q‖p) = escape + tilt + drift of one prompt: its exact form, and its estimates from samples.

O ⊂ C is what the reference cannot reach at K_probe, S its complement, c = q(O). Each term is >= 0, in nats:
escape = d(c‖p(O)) + c·KL(q|O‖p|O); tilt = (1-c)·KL(p_β*|S‖p|S); drift = (1-c)·KL(q|S‖p_β*|S).
The sample form is for a binary verifier with O = C (the prompt is `out`) or O = ∅ (it is not).
"""

import math
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workers.estimators.counts import clopper_pearson
from workers.estimators.estimate import Estimate
from workers.estimators.partition import success_ends
from workers.estimators.sample_mean import mean_interval, standard_error
from workers.estimators.term import Term, cover, term_estimate, union
from workers.estimators.tilt import (
    bernoulli_kl,
    bernoulli_range,
    matched_estimate,
    matched_inverse_temperature,
)

Floats = NDArray[np.float64]
Reach = Literal["in", "out", "undetermined"]
FEW: Final = "fewer than two candidate samples"
#: Relative variance of a beyond which its second-order bias correction is no longer one (about 4 successes).
LARGEST_RELATIVE_VARIANCE: Final = 0.25


class Terms(NamedTuple):
    """Exact terms in nats; +inf where p excludes what q holds, and then `drift` may have no value."""

    escape: float
    tilt: float
    drift: float | None
    is_retreat: bool


@dataclass(frozen=True, slots=True)
class CandidateScores:
    """Samples y ~ q of one prompt, scored under both models.

    Attributes:
        kl_rb: Σ_t KL(q_t‖p_t) along y, nats; +inf allowed. Shape ``(n,)``.
        log_ratio: log q(y) - log p(y), nats; +inf where p(y) = 0. Shape ``(n,)``.
        is_success: r(y) = 1. Shape ``(n,)``.
    """

    kl_rb: Floats
    log_ratio: Floats
    is_success: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Decomposition:
    """Estimated terms of one prompt; where all three values exist they add up to KL's.

    Attributes:
        tilt: Nats the signal asked for inside the support.
        drift: Every other change inside the support.
        escape: Nats spent on leaving it; called retreat where `is_retreat`.
        is_retreat: The prompt was read as `out` and b < a: q left O rather than entering it.
        matched_inverse_temperature: β* on S, 1/reward.
        projected: Nats by which sampling noise had pushed the terms outside tilt, drift, escape >= 0.
    """

    tilt: Estimate
    drift: Estimate
    escape: Estimate
    is_retreat: bool
    matched_inverse_temperature: Estimate
    projected: float


class _Reading(NamedTuple):
    tilt: Term | str
    drift: Term | str
    escape: Term | str
    beta: Estimate
    projected: float


def exact_terms(
    kl: float, a: float, b: float, *, p_out: float = 0.0, q_out: float = 0.0, kl_out: float = 0.0
) -> Terms:
    """Exact decomposition for a binary reward.

    Limits: (1-c)·undefined := 0; a_S = b_S = 0 gives tilt 0; a_S = 0 < b_S gives +inf.

    Args:
        kl: KL(q‖p), nats.
        a: p(C).
        b: q(C).
        p_out: p(O), at most `a`.
        q_out: c = q(O), at most `b`.
        kl_out: KL(q|O‖p|O), nats; 0 if c = 0.

    Raises:
        ValueError: The masses are no probabilities or not nested.
    """
    if not (0 <= p_out <= a <= 1 and 0 <= q_out <= b <= 1):
        raise ValueError("need 0 <= p(O) <= p(C) <= 1 and 0 <= q(O) <= q(C) <= 1")
    escape = bernoulli_kl(q_out, p_out) + (q_out * kl_out if q_out > 0 else 0.0)
    tilt = 0.0
    if q_out < 1:
        b_inside = (b - q_out) / (1 - q_out)
        tilt = (1 - q_out) * bernoulli_kl(b_inside, (a - p_out) / (1 - p_out) if p_out < 1 else 0.0)
    spent = escape + tilt
    drift = kl - spent if math.isfinite(spent) else None
    return Terms(escape, tilt, drift, q_out < p_out)


def decompose(
    scores: CandidateScores,
    kl: Estimate,
    reference: Estimate,
    reach: Reach,
    rng: np.random.Generator,
    *,
    leans_out: bool = False,
    confidence: float = 0.95,
) -> Decomposition:
    """Estimate tilt, drift and escape of one prompt, for a binary verifier.

    Intervals are Bonferroni boxes: each holds if those of a, b and the sample means do. Values are projected
    on tilt, drift, escape >= 0 with sum KL, which the exact terms obey; so q = p gives exactly 0 everywhere.
    The plug-in d(b‖a) is corrected for its second-order bias.

    Args:
        scores: Candidate samples.
        kl: `KLResult.rb` of the same samples at `confidence` or higher.
        reference: a = p(C), with an interval whose error is at most half of 1 - `confidence` (ends may be
            missing). Its upper end must come from reference samples.
        reach: Class of the reference at K_probe: `out` means O = C, `in` means O = ∅. For `undetermined` the
            value is that of the likelier reading and the interval the union of both.
        rng: Source of the intervals' bootstrap weights.
        leans_out: The likelier reading of an undetermined prompt.
        confidence: Nominal coverage of each term's interval.

    Raises:
        ValueError: Shapes differ, the reference interval leaves no error to spend, or log q - log p is NaN or
            -inf.
    """
    _check(scores)
    spent = 0.0 if reference.confidence is None else 1 - reference.confidence
    error = (1 - confidence - spent) / 2
    if spent > (1 - confidence) / 2 + 1e-12:
        raise ValueError("the reference interval may spend at most half of the error")
    readings = {
        "in": lambda: _inside(scores, kl, reference, rng, error),
        "out": lambda: _outside(scores, kl, reference, rng, error),
    }
    leaning: Reach = ("out" if leans_out else "in") if reach == "undetermined" else reach
    reading = readings[leaning]()
    if reach == "undetermined":
        other = readings["in" if leaning == "out" else "out"]()
        reading = _Reading(
            union(reading.tilt, other.tilt),
            union(reading.drift, other.drift),
            union(reading.escape, other.escape),
            reading.beta,
            reading.projected,
        )
    if scores.kl_rb.size > 1 and not scores.kl_rb.any():
        # No divergence at any prefix: every part of nothing is nothing, whatever the class.
        nothing = Term(0.0, 0.0, 0.0, 0.0)
        reading = reading._replace(tilt=nothing, drift=nothing, escape=nothing)
    b = float(scores.is_success.mean()) if scores.is_success.size else 0.0
    n = scores.is_success.size
    return Decomposition(
        tilt=term_estimate(reading.tilt, kl, n, confidence),
        drift=term_estimate(reading.drift, kl, n, confidence),
        escape=term_estimate(reading.escape, kl, n, confidence),
        is_retreat=leaning == "out" and reference.value is not None and b < reference.value,
        matched_inverse_temperature=reading.beta,
        projected=reading.projected,
    )


def _inside(
    scores: CandidateScores, kl: Estimate, reference: Estimate, rng: np.random.Generator, error: float
) -> _Reading:
    """O = ∅: escape = 0, tilt = d(b‖a), drift = KL - tilt."""
    nothing = Term(0.0, 0.0, 0.0, 0.0)
    n = scores.is_success.size
    if n < 2:
        return _Reading(FEW, FEW, nothing, Estimate.undefined(FEW, "1/reward", n), 0.0)
    b = float(scores.is_success.mean())
    box = (*success_ends(reference), *clopper_pearson(int(scores.is_success.sum()), n, 1 - error))
    beta = matched_estimate(reference, b, box, n, error)
    tilt_low, tilt_high = bernoulli_range(*box)
    raw, errors = _tilt_value(scores, reference, b)
    if kl.value is None:
        tilt = Term(None if raw is None else max(raw, 0.0), tilt_low, tilt_high, errors[0])
        return _Reading(cover(tilt), kl.reason, nothing, beta, 0.0)
    kl_low, kl_high = _kl_ends(scores.kl_rb, rng, error, kl.value)
    tilt_high = min(tilt_high, kl_high)  # data processing: d(b‖a) <= KL(q‖p)
    tilt_low = min(tilt_low, tilt_high)
    if raw is None:
        bounded = Term(None, tilt_low, tilt_high, None), Term(None, 0.0, kl_high - tilt_low, None)
        return _Reading(*bounded, nothing, beta, 0.0)
    value = min(max(raw, 0.0), kl.value)
    tilt = cover(Term(value, tilt_low, tilt_high, errors[0]))
    drift = cover(Term(kl.value - value, max(kl_low - tilt.high, 0.0), kl_high - tilt.low, errors[1]))
    return _Reading(tilt, drift, nothing, beta, abs(raw - value))


def _outside(
    scores: CandidateScores, kl: Estimate, reference: Estimate, rng: np.random.Generator, error: float
) -> _Reading:
    """O = C: tilt = 0, escape = E_q[1_C·log q/p] + (1-b)·log((1-b)/(1-a)), drift = KL - escape.

    With x = 1-b and s = 1-a, x·log(x/s) = x·log(t/s) + x - t + D(x, t) for any t > 0, where the Bregman
    remainder D(x, t) = x·log(x/t) - x + t is >= 0. So escape is D plus the mean of one number per sample, h.
    """
    none = Term(0.0, 0.0, 0.0, 0.0)
    n = scores.is_success.size
    beta = Estimate.undefined("no success inside the support", "1/reward", n)
    if kl.value is None:
        return _Reading(none, kl.reason, kl.reason, beta, 0.0)
    if n < 2:
        return _Reading(none, FEW, FEW, beta, 0.0)
    a = reference.value
    if a is None or a >= 1:
        reason = reference.reason or "the reference always succeeds"
        return _Reading(none, reason, reason, beta, 0.0)
    x = 1 - float(scores.is_success.mean())
    t = max(x, 0.5 / n)
    h = np.where(scores.is_success, scores.log_ratio, math.log(t) - math.log1p(-a) + 1) - t
    b_low, b_high = clopper_pearson(int(scores.is_success.sum()), n, 1 - error)
    remainder = max(_bregman(1 - b_high, t), _bregman(1 - b_low, t))
    a_low, a_high = success_ends(reference)
    # A smaller a lowers -x·log(1-a), a larger one raises it.
    down = (1 - b_low) * (math.log1p(-a_low) - math.log1p(-a))
    up = (1 - b_low) * (math.log1p(-a) - math.log1p(-a_high)) if a_high < 1 else math.inf
    escape_low, escape_high = mean_interval(h, rng, 1 - error)
    drift_low, drift_high = mean_interval(scores.kl_rb - h, rng, 1 - error)
    raw = float(h.mean()) + _bregman(x, t)
    value = min(max(raw, 0.0), kl.value)
    spread = x / (1 - a) * (reference.std_error or 0.0)
    escape = Term(
        value,
        max(escape_low - down, 0.0),
        escape_high + remainder + up,
        math.hypot(standard_error(h), spread),
    )
    drift = Term(
        kl.value - value,
        max(drift_low - remainder - up, 0.0),
        max(drift_high + down, 0.0),
        math.hypot(standard_error(scores.kl_rb - h), spread),
    )
    return _Reading(none, cover(drift), cover(escape), beta, abs(raw - value))


def _tilt_value(
    scores: CandidateScores, reference: Estimate, b: float
) -> tuple[float | None, tuple[float | None, float | None]]:
    """Bias-corrected d(b‖a), not yet projected, and the standard errors of tilt and drift.

    Drift is the mean of kl - β*·r plus a function of a, so its error needs no covariance.
    """
    a, n = reference.value, scores.is_success.size
    if a is None:
        return None, (None, None)
    plug_in = bernoulli_kl(b, a)
    if math.isinf(plug_in):
        return None, (None, None)
    beta = matched_inverse_temperature(a, b)
    success_error = standard_error(scores.is_success.astype(np.float64))
    from_b = beta * success_error if success_error > 0 and math.isfinite(beta) else 0.0
    residual = scores.kl_rb - beta * scores.is_success if math.isfinite(beta) else scores.kl_rb
    from_kl = standard_error(residual) if np.isfinite(residual).all() else math.inf
    bias, from_a = 1 / (2 * n) if 0 < b < 1 and 0 < a < 1 else 0.0, 0.0
    if reference.std_error is not None and 0 < a < 1:
        error = reference.std_error
        from_a = (a - b) / (a * (1 - a)) * error
        successes = min((error / a) ** 2, LARGEST_RELATIVE_VARIANCE)
        failures = min((error / (1 - a)) ** 2, LARGEST_RELATIVE_VARIANCE)
        bias += (b * successes + (1 - b) * failures) / 2
    errors = math.hypot(from_b, from_a), math.hypot(from_kl, from_a) if math.isfinite(from_kl) else None
    return plug_in - bias, errors


def _kl_ends(kl_rb: Floats, rng: np.random.Generator, error: float, value: float) -> tuple[float, float]:
    low, high = mean_interval(kl_rb, rng, 1 - error)
    return max(min(low, value), 0.0), max(high, value)


def _bregman(x: float, t: float) -> float:
    """x·log(x/t) - x + t >= 0, zero at x = t."""
    return t if x <= 0 else max(x * math.log(x / t) - x + t, 0.0)


def _check(scores: CandidateScores) -> None:
    if not scores.kl_rb.shape == scores.log_ratio.shape == scores.is_success.shape:
        raise ValueError("candidate scores must be one value per sample")
    undefined = np.isnan(scores.kl_rb) | np.isnan(scores.log_ratio) | np.isneginf(scores.log_ratio)
    if undefined.any():
        raise ValueError("log q - log p is NaN or -inf: a sample of q has q(y) > 0")
