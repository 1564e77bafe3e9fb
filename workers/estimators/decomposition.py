"""KL(q‖p) = escape + tilt + drift of one prompt: its exact form, and its estimates from samples.

O ⊂ C is what the reference cannot reach at K_probe, S its complement, c = q(O). Each term is >= 0, in nats:
escape = d(c‖p(O)) + c·KL(q|O‖p|O); tilt = (1-c)·KL(p_β*|S‖p|S); drift = (1-c)·KL(q|S‖p_β*|S).
`decompose` is for a binary verifier with O = C (the prompt is `out`) or O = ∅ (it is not);
`decompose_readings` takes any O and any reward.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workers.estimators.bootstrap_weights import BootstrapWeights
from workers.estimators.escape import escape_parts
from workers.estimators.estimate import Estimate
from workers.estimators.inside_tilt import InsideTilt, binary_tilt
from workers.estimators.reading import CandidateScores, Reading, check_scores, combined, united
from workers.estimators.term import Term, term_estimate
from workers.estimators.tilt import bernoulli_kl

Bools = NDArray[np.bool_]
Reach = Literal["in", "out", "undetermined"]
FEW: Final = "fewer than two candidate samples"


class Terms(NamedTuple):
    """Exact terms in nats; +inf where p excludes what q holds, and then `drift` may have no value."""

    escape: float
    tilt: float
    drift: float | None
    is_retreat: bool


@dataclass(frozen=True, slots=True)
class SupportReading:
    """One reading of what is out of reach.

    Attributes:
        is_out: Which candidate samples lie in O. Shape ``(n,)``.
        out_mass: p(O), with an interval from reference samples; None where O is empty by definition.
        tilt: The tilt inside the complement of O.
    """

    is_out: Bools
    out_mass: Estimate | None
    tilt: InsideTilt


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
    weights: BootstrapWeights,
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
        weights: Of the Bayesian bootstrap.
        leans_out: The likelier reading of an undetermined prompt.
        confidence: Nominal coverage of each term's interval.

    Raises:
        ValueError: Shapes differ, the reference interval leaves no error to spend, or log q - log p is NaN or
            -inf.
    """
    check_scores(scores)
    spent = 0.0 if reference.confidence is None else 1 - reference.confidence
    error = (1 - confidence - spent) / 2
    if spent > (1 - confidence) / 2 + 1e-12:
        raise ValueError("the reference interval may spend at most half of the error")
    readings = {
        "in": lambda: _inside(scores, kl, reference, weights, error),
        "out": lambda: _outside(scores, kl, reference, weights, error),
    }
    leaning: Reach = ("out" if leans_out else "in") if reach == "undetermined" else reach
    reading = readings[leaning]()
    if reach == "undetermined":
        reading = united([reading, readings["in" if leaning == "out" else "out"]()])
    b = float(scores.is_success.mean()) if scores.is_success.size else 0.0
    is_retreat = leaning == "out" and reference.value is not None and b < reference.value
    return decomposition(scores, kl, reading, confidence, is_retreat=is_retreat)


def decompose_readings(
    scores: CandidateScores,
    kl: Estimate,
    supports: Sequence[SupportReading],
    weights: BootstrapWeights,
    *,
    confidence: float = 0.95,
    reference_error: float = 0.0,
) -> Decomposition:
    """Estimate tilt, drift and escape where O is part of C, or where the reward is dense.

    Args:
        scores: Candidate samples.
        kl: As in `decompose`.
        supports: Readings of what is out of reach, the likelier first: the value is its, the interval the
            union of all.
        weights: Of the Bayesian bootstrap.
        confidence: Nominal coverage of each term's interval.
        reference_error: What the intervals in `supports` may miss together.

    Raises:
        ValueError: Shapes differ, no reading is given or nothing is left of the error.
    """
    check_scores(scores)
    if not supports or reference_error >= 1 - confidence:
        raise ValueError("a decomposition needs a reading of the support and an error to spend")
    error = (1 - confidence - reference_error) / 3  # of c, of the mean and of the tilt's own
    found = [_support_reading(scores, kl, support, weights, error) for support in supports]
    first = supports[0]
    is_retreat = (
        first.out_mass is not None
        and first.out_mass.value is not None
        and float(first.is_out.mean()) < first.out_mass.value
    )
    return decomposition(scores, kl, united(found), confidence, is_retreat=is_retreat)


def _support_reading(
    scores: CandidateScores, kl: Estimate, support: SupportReading, weights: BootstrapWeights, error: float
) -> Reading:
    if scores.kl_rb.size < 2:
        return Reading(support.tilt.term, FEW, FEW, support.tilt.beta, 0.0)
    parts = None
    if support.out_mass is not None:
        found = escape_parts(support.is_out, scores.log_ratio, support.out_mass, error)
        if isinstance(found, str):
            return Reading(support.tilt.term, found, found, support.tilt.beta, 0.0)
        parts = found
    return combined(scores, kl, parts, support.tilt, weights, error)


def decomposition(
    scores: CandidateScores, kl: Estimate, reading: Reading, confidence: float, *, is_retreat: bool
) -> Decomposition:
    """The terms of a reading as estimates."""
    n = scores.is_success.size
    if scores.kl_rb.size > 1 and not scores.kl_rb.any():
        # No divergence at any prefix: every part of nothing is nothing, whatever the class.
        nothing = Term(0.0, 0.0, 0.0, 0.0)
        reading = reading._replace(tilt=nothing, drift=nothing, escape=nothing)
    return Decomposition(
        tilt=term_estimate(reading.tilt, kl, n, confidence),
        drift=term_estimate(reading.drift, kl, n, confidence),
        escape=term_estimate(reading.escape, kl, n, confidence),
        is_retreat=is_retreat,
        matched_inverse_temperature=reading.beta,
        projected=reading.projected,
    )


def _inside(
    scores: CandidateScores, kl: Estimate, reference: Estimate, weights: BootstrapWeights, error: float
) -> Reading:
    """O = ∅: escape = 0, tilt = d(b‖a), drift = KL - tilt."""
    n = scores.is_success.size
    if n < 2:
        nothing = Term(0.0, 0.0, 0.0, 0.0)
        return Reading(FEW, FEW, nothing, Estimate.undefined(FEW, "1/reward", n), 0.0)
    tilt = binary_tilt(scores.is_success, None, reference, error)
    return combined(scores, kl, None, tilt, weights, error)


def _outside(
    scores: CandidateScores, kl: Estimate, reference: Estimate, weights: BootstrapWeights, error: float
) -> Reading:
    """O = C: tilt = 0, escape = E_q[1_C·log q/p] + (1-b)·log((1-b)/(1-a)), drift = KL - escape."""
    none = Term(0.0, 0.0, 0.0, 0.0)
    n = scores.is_success.size
    beta = Estimate.undefined("no success inside the support", "1/reward", n)
    if kl.value is None:
        return Reading(none, kl.reason, kl.reason, beta, 0.0)
    if n < 2:
        return Reading(none, FEW, FEW, beta, 0.0)
    parts = escape_parts(scores.is_success, scores.log_ratio, reference, error)
    if isinstance(parts, str):
        return Reading(none, parts, parts, beta, 0.0)
    return combined(scores, kl, parts, InsideTilt(none, beta, np.zeros(n), 0.0), weights, error)
