"""One reading of the support: what tilt, drift and escape are if O is what it says."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workers.estimators.bootstrap_weights import BootstrapWeights
from workers.estimators.escape import EscapeParts
from workers.estimators.estimate import Estimate
from workers.estimators.inside_tilt import InsideTilt
from workers.estimators.sample_mean import mean_interval, standard_error
from workers.estimators.term import Term, cover, union

Floats = NDArray[np.float64]


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


class Reading(NamedTuple):
    """The three terms, β* and the nats by which they were moved into their ranges.

    A text stands for an undefined term and says why.
    """

    tilt: Term | str
    drift: Term | str
    escape: Term | str
    beta: Estimate
    projected: float


def combined(
    scores: CandidateScores,
    kl: Estimate,
    escape: EscapeParts | None,
    tilt: InsideTilt,
    weights: BootstrapWeights,
    error: float,
) -> Reading:
    """Put escape and tilt together and give drift the rest.

    With h and φ the per-sample forms of escape and tilt, drift is the mean of kl - h - φ: its error needs no
    covariances. Values are projected on escape, tilt, drift >= 0 with sum KL, in this order.

    Args:
        scores: Candidate samples, n >= 2.
        kl: KL(q‖p) of the same samples.
        escape: None where O is empty.
        tilt: The tilt inside S.
        weights: Of the Bayesian bootstrap.
        error: What the interval of a mean may miss.
    """
    nothing = Term(0.0, 0.0, 0.0, 0.0)
    if kl.value is None:
        gone: Term | str = nothing if escape is None else kl.reason
        return Reading(_held(tilt.term, math.inf, math.inf), kl.reason, gone, tilt.beta, 0.0)
    zero = np.zeros(scores.kl_rb.size)
    parts = EscapeParts(zero, 0.0, 0.0, 0.0, 0.0) if escape is None else escape
    spent = min(max(parts.value, 0.0), kl.value)
    found = nothing
    if escape is not None:
        low, high = mean_interval(parts.per_sample, weights, 1 - error)
        spread = math.hypot(standard_error(parts.per_sample), parts.reference_error)
        found = cover(Term(spent, max(low - parts.below, 0.0), high + parts.above, spread))
    rest = scores.kl_rb - parts.per_sample
    low, high = mean_interval(rest, weights, 1 - error)
    low, high = max(low - parts.above, 0.0), max(high + parts.below, 0.0)
    if isinstance(tilt.term, str):
        return Reading(tilt.term, tilt.term, found, tilt.beta, abs(spent - parts.value))
    asked = _held(tilt.term, kl.value - spent, high)
    if isinstance(asked, str) or asked.value is None:
        bounded = Term(None, 0.0, max(high - tilt.term.low, 0.0), None)
        return Reading(asked, bounded, found, tilt.beta, abs(spent - parts.value))
    moved = abs(spent - parts.value) + abs(asked.value - (tilt.term.value or 0.0))
    errors = standard_error(rest - tilt.per_sample), parts.reference_error, tilt.reference_error or 0.0
    drift = Term(
        kl.value - spent - asked.value,
        max(low - asked.high, 0.0),
        max(high - asked.low, 0.0),
        math.hypot(*errors),
    )
    return Reading(asked, cover(drift), found, tilt.beta, moved)


def united(readings: Sequence[Reading]) -> Reading:
    """The first reading with intervals that hold those of all."""
    first = readings[0]
    for other in readings[1:]:
        first = first._replace(
            tilt=union(first.tilt, other.tilt),
            drift=union(first.drift, other.drift),
            escape=union(first.escape, other.escape),
        )
    return first


def _held(tilt: Term | str, most: float, high: float) -> Term | str:
    """The tilt held to what KL leaves for it: coarse-graining cannot raise a divergence."""
    if isinstance(tilt, str):
        return tilt
    end = min(tilt.high, high)
    value = None if tilt.value is None else min(max(tilt.value, 0.0), most)
    return cover(Term(value, min(tilt.low, end), end, tilt.std_error))


def check_scores(scores: CandidateScores) -> None:
    """Raise ValueError unless there is one value per sample, and no sample that q could not have made."""
    if not scores.kl_rb.shape == scores.log_ratio.shape == scores.is_success.shape:
        raise ValueError("candidate scores must be one value per sample")
    undefined = np.isnan(scores.kl_rb) | np.isnan(scores.log_ratio) | np.isneginf(scores.log_ratio)
    if undefined.any():
        raise ValueError("log q - log p is NaN or -inf: a sample of q has q(y) > 0")
