"""KL(q‖p) of whole sequences and of token positions, from samples y ~ q scored under q and p."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.estimators.bootstrap_weights import BootstrapWeights
from workers.estimators.counts import clopper_pearson
from workers.estimators.estimate import Estimate
from workers.estimators.ordered import Ordered
from workers.estimators.sample_mean import mean_estimate, standard_error
from workers.numerics.ragged import Ragged

Floats = NDArray[np.float64]

TRUNCATED_SUPPORT: Final = "truncated_support"
#: A token KL is a difference of rounded logarithms: a sum this far below zero is rounding, beyond is a bug.
ROUNDING: Final = 1e-3


@dataclass(frozen=True, slots=True)
class KLResult:
    """KL(q‖p) in nats, y ~ q, by its two estimators; with the roles of p and q exchanged, KL(p‖q), y ~ p.

    Attributes:
        rb: Rao-Blackwellised: mean over samples of Σ_t KL(q_t‖p_t) over the full vocabulary
            (Amini et al. 2025, arXiv 2504.10637). nats per sequence.
        k1: Mean of log q(y) - log p(y), the cross-check; unbiased, noisier, may be negative. nats.
        per_token: E_q[Σ_t KL_t] / E_q[length], nats per token (not the mean of per-sequence ratios).
        difference: Paired mean of rb - k1; its expectation is 0.
        singular_mass: q(p(y) = 0), a probability, with a Clopper-Pearson interval.
    """

    rb: Estimate
    k1: Estimate
    per_token: Estimate
    difference: Estimate
    singular_mass: Estimate


@dataclass(frozen=True, slots=True)
class PositionKL:
    """Share of a sequence KL that falls on one token position.

    Attributes:
        position: 0-based index of the token.
        contribution: Mean of KL_t, counting 0 for samples that ended before t, with its standard error: these
            add up to the sequence KL. nats.
        reaching: Samples that have a token at this position.
    """

    position: int
    contribution: Estimate
    reaching: int


def sequence_kl(
    kl_rb: Floats,
    log_ratio: Floats,
    lengths: NDArray[np.int64],
    weights: BootstrapWeights,
    confidence: float = 0.95,
) -> KLResult:
    """Estimate KL(q‖p) from candidate samples.

    Args:
        kl_rb: Per sample, Σ_t KL(q_t‖p_t) along y ~ q, in nats; +inf where p is zero somewhere q is not.
            Shape ``(n,)``.
        log_ratio: Per sample, log q(y) - log p(y), in nats; +inf where p(y) = 0. Shape ``(n,)``.
        lengths: Tokens per sample, EOS included. Shape ``(n,)``.
        weights: Of the Bayesian bootstrap.
        confidence: Nominal coverage of each interval.

    Raises:
        ValueError: Shapes differ, a value is NaN or -inf, a KL is below zero by more than rounding, or a
            length is not positive.
    """
    rb, k1 = np.asarray(kl_rb, dtype=np.float64), np.asarray(log_ratio, dtype=np.float64)
    _check(rb, k1, lengths)
    n = rb.size
    if n == 0:
        return undefined_kl("no samples")
    singular = singular_mass(k1, confidence)
    if np.isposinf(rb).any() or np.isposinf(k1).any():
        nats = Estimate.undefined(TRUNCATED_SUPPORT, "nats", n)
        per_token = Estimate.undefined(TRUNCATED_SUPPORT, "nats per token", n)
        return KLResult(nats, nats, per_token, nats, singular)
    return KLResult(
        rb=mean_estimate(rb, weights, unit="nats", confidence=confidence, floor=0.0),
        k1=mean_estimate(k1, weights, unit="nats", confidence=confidence),
        per_token=_per_token(rb, lengths, weights, confidence),
        difference=mean_estimate(rb - k1, weights, unit="nats", confidence=confidence),
        singular_mass=singular,
    )


def undefined_kl(reason: str) -> KLResult:
    """A KL that does not exist, and why."""
    nats, mass = Estimate.undefined(reason, "nats"), Estimate.undefined(reason, "probability")
    return KLResult(nats, nats, Estimate.undefined(reason, "nats per token"), nats, mass)


def singular_mass(log_ratio: Floats, confidence: float = 0.95) -> Estimate:
    """Estimate q(p(y) = 0), the candidate's mass where the reference has none; Clopper-Pearson interval.

    Args:
        log_ratio: log q(y) - log p(y) per sample y ~ q; +inf where p(y) = 0. Shape ``(n,)``.
        confidence: Nominal coverage.
    """
    n = int(log_ratio.size)
    if n == 0:
        return Estimate.undefined("no samples", "probability")
    count = int(np.isposinf(log_ratio).sum())
    low, high = clopper_pearson(count, n, confidence)
    share = count / n
    std_error = math.sqrt(share * (1 - share) / n) if n > 1 else None
    return Estimate(
        value=share,
        std_error=std_error,
        ci_low=low,
        ci_high=high,
        confidence=confidence,
        n=n,
        unit="probability",
    )


def by_position(token_kl: Ragged, positions: int | None = None) -> list[PositionKL]:
    """Split the KL of one prompt over token positions (chain rule); the contributions add up to it.

    The direction is that of the samples: KL(q_t‖p_t) along y ~ q splits KL(q‖p), KL(p_t‖q_t) along y ~ p
    splits KL(p‖q). Drift has no such split: the next-token law of the matched tilt is p's times
    E_p[e^(β r) | y_<=t]/E_p[e^(β r) | y_<t], which takes samples of p from every prefix.

    Args:
        token_kl: Per sample, the KL at each of its tokens, nats; +inf allowed.
        positions: How many positions to list; those of the longest sample if None.

    Raises:
        ValueError: A value is NaN or negative beyond rounding.
    """
    lengths = token_kl.lengths
    longest = int(lengths.max(initial=0))
    table = np.zeros((lengths.size, longest if positions is None else max(positions, longest)))
    inside = np.arange(table.shape[1]) < lengths[:, None]
    table[inside] = token_kl.values
    reaching = inside.sum(axis=0)
    if np.isnan(table).any() or (table < -ROUNDING).any():
        raise ValueError("a token KL is NaN or negative")
    listed = table.shape[1] if positions is None else positions
    return [PositionKL(t, _position(table[:, t]), int(reaching[t])) for t in range(listed)]


def _position(values: Floats) -> Estimate:
    if values.size == 0:
        return Estimate.undefined("no samples", "nats")
    if np.isposinf(values).any():
        return Estimate.undefined(TRUNCATED_SUPPORT, "nats", values.size)
    error = standard_error(values) if values.size > 1 else None
    return Estimate(value=max(float(values.mean()), 0.0), std_error=error, n=values.size, unit="nats")


def _per_token(
    kl_rb: Floats, lengths: NDArray[np.int64], weights: BootstrapWeights, confidence: float
) -> Estimate:
    """Ratio of means; its interval is that of the residual kl - ratio·length, whose true mean is about 0."""
    unit = "nats per token"
    mean_length = float(lengths.mean())
    ratio = max(float(kl_rb.mean()) / mean_length, 0.0)
    residuals = Ordered(kl_rb - ratio * lengths)
    residual = mean_estimate(residuals, weights, unit=unit, confidence=confidence)
    if residual.ci_low is None or residual.ci_high is None:
        return Estimate(value=ratio, n=residual.n, unit=unit, status="unreliable", reason=residual.reason)
    return Estimate(
        value=ratio,
        std_error=residuals.standard_error / mean_length,
        ci_low=max(ratio + min(residual.ci_low, 0.0) / mean_length, 0.0),
        ci_high=ratio + max(residual.ci_high, 0.0) / mean_length,
        confidence=confidence,
        n=residual.n,
        unit=unit,
        status=residual.status,
        reason=residual.reason,
    )


def _check(rb: Floats, k1: Floats, lengths: NDArray[np.int64]) -> None:
    if not rb.shape == k1.shape == lengths.shape or rb.ndim != 1:
        raise ValueError("kl_rb, log_ratio and lengths must be one value per sample")
    if np.isnan(rb).any() or np.isnan(k1).any() or np.isneginf(k1).any():
        raise ValueError("log q - log p is NaN or -inf: a sample of q has q(y) > 0")
    if (rb < -ROUNDING).any():
        raise ValueError("a Rao-Blackwellised KL is negative")
    if (lengths < 1).any():
        raise ValueError("a sample has at least one token")
