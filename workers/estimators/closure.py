"""Closure checks: identities and bounds that hold for every pair (p, q), tested on the data of one report."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from workers.estimators.estimate import Estimate

Floats = NDArray[np.float64]

#: E_q[p/q] <= 1, so Markov: a mean of 1,000 has probability at most 0.001.
LARGEST_MEAN_WEIGHT: Final = 1000.0
RARE_DRAWS: Final = 6.9
UNSEEN_NATS: Final = 1.0
LARGEST_Z: Final = 4.0
#: Standard errors beyond which a difference has no spread to be measured by.
SYSTEMATIC_Z: Final = 1e9
#: Relative rounding that sums of float64 terms may show.
ROUNDING: Final = 1e-9
#: Mean |RB - k1| of this many nats is rounding of float32 log-probabilities, not a disagreement.
FLOAT32_NATS: Final = 1e-4
#: Neighbouring states below this overlap are not connected in practice (Klimovich et al. 2015).
LEAST_OVERLAP: Final = 0.03
_LARGEST_EXPONENT: Final = 700.0


@dataclass(frozen=True, slots=True)
class Check:
    """One check of a report.

    Attributes:
        check: Its name.
        residual: What was observed, finite.
        tolerance: What it is compared with.
        passed: Whether it holds.
        blocking: Whether a failure makes the verdict inconclusive.
    """

    check: str
    residual: float
    tolerance: float
    passed: bool
    blocking: bool


class ScoredPair(NamedTuple):
    """log p(y) - log q(y) of one prompt's samples; +inf or -inf where one model excludes the other's sample.

    Attributes:
        reference: At y ~ p. Shape ``(n_p,)``.
        candidate: At y ~ q. Shape ``(n_q,)``.
    """

    reference: Floats
    candidate: Floats


def mean_weight(pairs: Sequence[ScoredPair]) -> Check:
    """Mean of p/q over all candidate draws, expected at most 1: 1,000 means mis-scored samples. Blocking."""
    log_weights = _candidate_draws(pairs)
    if log_weights.size == 0:
        return Check("mean_weight", 0.0, LARGEST_MEAN_WEIGHT, True, True)
    log_mean = float(logsumexp(log_weights)) - math.log(log_weights.size)
    mean = math.exp(min(log_mean, _LARGEST_EXPONENT))
    return Check("mean_weight", mean, LARGEST_MEAN_WEIGHT, mean < LARGEST_MEAN_WEIGHT, True)


def weight_deficit(pairs: Sequence[ScoredPair]) -> Check:
    """1 - mean of p/q over candidate draws, within its t-interval or not. Never blocking.

    Real pairs lie far below a mean of 1: the weight sits in draws that are never made.
    """
    log_weights = _candidate_draws(pairs)
    if log_weights.size < 2:
        return Check("weight_deficit", 0.0, 0.0, True, False)
    weights = np.exp(np.minimum(log_weights, _LARGEST_EXPONENT / 2))
    residual = 1 - float(weights.mean())
    tolerance = 2 * float(weights.std(ddof=1)) / math.sqrt(weights.size)
    return Check("weight_deficit", residual, tolerance, abs(residual) <= tolerance + ROUNDING, False)


def gap_identity(free_energy: float, equilibrium: float, kl_to_tilt: float, beta: float) -> Check:
    """F_β(q) - F*_β = KL(q‖p_β)/β up to rounding. Blocking.

    Args:
        free_energy: F_β(q), reward.
        equilibrium: F*_β, reward.
        kl_to_tilt: KL(q‖p_β) = KL(q‖p) - β·E_q[r] + log Z_β from the same figures, nats.
        beta: Inverse temperature.
    """
    residual = abs(free_energy - equilibrium - kl_to_tilt / beta)
    tolerance = ROUNDING * (1 + abs(free_energy) + abs(equilibrium))
    return Check("gap_identity", residual, tolerance, residual <= tolerance, True)


def sum_identity(kl: Estimate, tilt: Estimate, drift: Estimate, escape: Estimate) -> Check:
    """Tilt + drift + escape = KL up to rounding; passes where a term has no value. Blocking."""
    if kl.value is None or tilt.value is None or drift.value is None or escape.value is None:
        return Check("sum_identity", 0.0, ROUNDING, True, True)
    residual = abs(math.fsum((tilt.value, drift.value, escape.value)) - kl.value)
    tolerance = ROUNDING * (1 + abs(kl.value))
    return Check("sum_identity", residual, tolerance, residual <= tolerance, True)


def rao_blackwell_against_k1(
    differences: Sequence[Floats], *, of: Literal["forward", "reverse", "teacher"] = "forward"
) -> Check:
    """|z| of the mean paired difference RB - k1, pooled over prompts. Blocking beyond 4.

    k1 has a long tail: an uncorrected z of 64 log-normal differences (sigma 1) exceeds 4 in 1 % of reports,
    not 0.006 %. Hall's cubic (see `sample_mean`) corrects it for skewness, down to 0.15 %.

    Args:
        differences: Per prompt, kl_rb - (log q - log p) of its samples y ~ q, finite, nats; for the reverse
            direction the same with p and q exchanged. Shape ``(n,)``.
        of: Whether they are of KL(q‖p), of KL(p‖q), or of the KL of both to π_D; it names the check.
    """
    name = "rao_blackwell_against_k1" if of == "forward" else f"{of}_rao_blackwell_against_k1"
    kept = [np.asarray(values, dtype=np.float64) for values in differences if len(values) >= 2]
    mean = math.fsum(float(values.mean()) for values in kept)
    variance = math.fsum(_variance_of_mean(values) for values in kept)
    third = math.fsum(float(np.mean((values - values.mean()) ** 3)) / values.size**2 for values in kept)
    negligible = abs(mean) <= FLOAT32_NATS * max(len(kept), 1)
    return _z_check(name, mean, variance, third, negligible=negligible)


def _variance_of_mean(values: Floats) -> float:
    """Variance of one prompt's mean, with one draw's worth for what a peaked candidate has not shown yet.

    Samples that are all alike have no variance, while the rare token that none of them drew is in the
    Rao-Blackwellised value already.
    """
    unseen = max(UNSEEN_NATS, float(np.abs(values).max())) / values.size
    return float(values.var(ddof=1)) / values.size + unseen**2


def overlap_identity(pairs: Sequence[ScoredPair]) -> Check:
    """|z| of n_p·E_p[n_q q/mix] - n_q·E_q[n_p p/mix], mix = n_p p + n_q q, pooled. Blocking beyond 4.

    Every draw adds a term in [0, 1]. Where the models hardly overlap the sums consist of a few rare terms and
    their sample variance says nothing: Bernstein's inequality allows sqrt(2 V L) + 2 L/3 with
    L = log(2/6.3e-5), the level of |z| = 4, so below 2 L/3 the z is held at the tolerance.
    """
    difference, variance = 0.0, 0.0
    for pair in pairs:
        if pair.reference.size < 2 or pair.candidate.size < 2:
            continue
        at_reference, at_candidate = _overlap_terms(pair)
        difference += float(at_reference.sum() - at_candidate.sum())
        variance += at_reference.size * float(at_reference.var(ddof=1))
        variance += at_candidate.size * float(at_candidate.var(ddof=1))
    check = _z_check("overlap_identity", difference, variance, negligible=abs(difference) < ROUNDING)
    if check.passed or abs(difference) > RARE_DRAWS:
        return check
    return Check(check.check, LARGEST_Z, LARGEST_Z, True, check.blocking)


def overlap(pairs: Sequence[ScoredPair]) -> Check:
    """Mean over prompts of E_p[n_q q/mix] + E_q[n_p p/mix], in [0, 1]; 1 for p = q. Not blocking."""
    values = [prompt_overlap(pair) for pair in pairs if pair.reference.size and pair.candidate.size]
    mean = math.fsum(values) / len(values) if values else 0.0
    return Check("overlap", mean, LEAST_OVERLAP, mean >= LEAST_OVERLAP, False)


def ladder_zero(rungs: Sequence[Estimate]) -> Check:
    """|mean| log Z of language models by MBAR against 4 standard errors; nats. Not blocking.

    Every model is normalised, so the mean says by how many nats its scores are off. Rungs without overlap are
    left out.

    Args:
        rungs: log Z of each model and prompt relative to the reference's.
    """
    kept = [rung for rung in rungs if rung.status == "ok" and rung.std_error is not None]
    if not kept:
        return Check("ladder_zero", 0.0, 0.0, True, False)
    mean = math.fsum(rung.value or 0.0 for rung in kept) / len(kept)
    error = math.hypot(*(rung.std_error or 0.0 for rung in kept)) / len(kept)
    tolerance = LARGEST_Z * error + FLOAT32_NATS
    return Check("ladder_zero", abs(mean), tolerance, abs(mean) <= tolerance, False)


def prompt_overlap(pair: ScoredPair) -> float:
    """Overlap ∫ N p q/(n_p p + n_q q) of one prompt, in [0, 1]; both sides need a sample."""
    at_reference, at_candidate = _overlap_terms(pair)
    return min(float(at_reference.mean() + at_candidate.mean()), 1.0)


def _overlap_terms(pair: ScoredPair) -> tuple[Floats, Floats]:
    """n_q q/mix at the reference draws and n_p p/mix at the candidate draws, each in [0, 1]."""
    log_odds = math.log(pair.reference.size) - math.log(pair.candidate.size)
    with np.errstate(over="ignore"):  # exp overflows to inf where the share is 0
        at_reference = 1 / (1 + np.exp(log_odds + pair.reference))
        at_candidate = 1 / (1 + np.exp(-log_odds - pair.candidate))
    return at_reference, at_candidate


def _candidate_draws(pairs: Sequence[ScoredPair]) -> Floats:
    return np.concatenate([pair.candidate for pair in pairs]) if pairs else np.empty(0)


def _z_check(name: str, difference: float, variance: float, third: float = 0.0, *, negligible: bool) -> Check:
    """Check |z| of a difference with this variance and third central moment."""
    if negligible:
        return Check(name, 0.0, LARGEST_Z, True, True)
    # With hardly any spread a difference is systematic; a finite stand-in for a z whose powers overflow.
    spread = math.sqrt(variance)
    if abs(difference) >= SYSTEMATIC_Z * spread:
        return Check(name, SYSTEMATIC_Z, LARGEST_Z, False, True)
    z = difference / spread
    c = third / spread**3 / 3
    corrected = abs(z + c * z**2 + c**2 * z**3 / 3 + c / 2)
    return Check(name, corrected, LARGEST_Z, corrected <= LARGEST_Z, True)
