"""Demonstrations y ~ pi_D under a model: typicality, cross-entropy, and what their own probabilities add.

A price is -log p(y), nats. Demonstrations that come as text alone have no pi_D(y): then a price is read
against the prices of the reference's *own* samples of matched length, never against zero, and the
cross-entropy -E_{pi_D} log q, which fine-tuning minimises, is a difference from an unknown entropy.
"""

import math
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from workers.estimators.estimate import Estimate

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]

LEAST_MATCHED: Final = 19
"""Own samples of matched length below which no p-value can reach 0.05: the least one is 1/(n + 1)."""

LENGTH_SHARE: Final = 0.1
"""Lengths match within this share of the demonstration's: exactly below ten tokens."""

TIE: Final = 1e-3
"""Nats within which two prices are one: a text is scored in another batch than it was drawn in."""

NO_TEACHER: Final = (
    "no log-probability of the demonstrations under the law they were drawn from was given, nor was a teacher"
)
NONE: Final = "no demonstrations"
ZERO: Final = "a demonstration has probability zero under the model"


@dataclass(frozen=True, slots=True)
class ScoredDemonstrations:
    """The demonstrations of one prompt under one model.

    Attributes:
        log_prob: log p(y) of each, EOS included, nats. Shape ``(n,)``.
        tokens: Tokens of each, EOS included. Shape ``(n,)``.
        log_teacher: log pi_D(y) of each, nats; None where it is not known. Shape ``(n,)``.
        unknown: Why `log_teacher` is not known, where it is not.
    """

    log_prob: FloatArray
    tokens: IntArray
    log_teacher: FloatArray | None = None
    unknown: str = NO_TEACHER


def typicality(price: float, tokens: int, own_prices: FloatArray, own_tokens: IntArray) -> Estimate:
    """How far out a price lies among the model's own samples of matched length: a one-sided p-value.

    ``(1 + #{own prices >= price}) / (n + 1)`` over the n matched samples: for a demonstration that the model
    drew itself it is at most u with chance at most u, for any law and any n (ranks of exchangeable draws).
    Where lengths match only roughly, so does that.

    Args:
        price: -log p(y), nats.
        tokens: Of y, EOS included.
        own_prices: -log p of the model's own finished samples, nats. Shape ``(m,)``.
        own_tokens: Their lengths. Shape ``(m,)``.
    """
    within = math.floor(LENGTH_SHARE * tokens)
    matched = own_prices[np.abs(own_tokens - tokens) <= within]
    if matched.size < LEAST_MATCHED:
        around = f"{tokens} tokens" if not within else f"{tokens - within} to {tokens + within} tokens"
        reason = (
            f"{matched.size} finished samples of the reference have {around}; {LEAST_MATCHED} are needed for "
            "a p-value of 0.05"
        )
        return Estimate.undefined(reason, "probability", int(matched.size))
    above = int((matched >= price - TIE).sum())
    return Estimate(value=(1 + above) / (matched.size + 1), n=int(matched.size), unit="probability")


def cross_entropy(scored: ScoredDemonstrations) -> Estimate:
    """-E_{pi_D} log p, nats a sequence: the mean price."""
    return _mean(-scored.log_prob)


def cross_entropy_per_token(scored: ScoredDemonstrations) -> Estimate:
    """Nats a token: all prices over all tokens, so that long demonstrations count by their length."""
    if not scored.log_prob.size:
        return Estimate.undefined(NONE, "nats/token")
    if not np.isfinite(scored.log_prob).all():
        return Estimate.undefined(ZERO, "nats/token", scored.log_prob.size)
    value = -math.fsum(scored.log_prob) / int(scored.tokens.sum())
    return Estimate(value=value, n=scored.log_prob.size, unit="nats/token")


def cross_entropy_change(reference: ScoredDemonstrations, candidate: ScoredDemonstrations) -> Estimate:
    """Candidate's less reference's, nats a sequence, paired by demonstration; the entropy of pi_D cancels."""
    return _mean(reference.log_prob - candidate.log_prob)


def kl_from_teacher(scored: ScoredDemonstrations) -> Estimate:
    """KL(pi_D||p), y ~ pi_D: the mean of log pi_D(y) - log p(y), nats; may be negative by chance."""
    if scored.log_teacher is None:
        return Estimate.undefined(scored.unknown, "nats", scored.log_prob.size)
    return _mean(scored.log_teacher - scored.log_prob)


def coverage(scored: ScoredDemonstrations, least: int) -> Estimate:
    """Cov_N = P_{y~pi_D}[pi_D(y)/p(y) >= N]: what N samples of p seldom hold one of.

    Args:
        scored: The demonstrations.
        least: N.
    """
    if scored.log_teacher is None:
        return Estimate.undefined(scored.unknown, "probability", scored.log_prob.size)
    return _mean((scored.log_teacher - scored.log_prob >= math.log(least)).astype(np.float64), "probability")


def _mean(values: FloatArray, unit: str = "nats") -> Estimate:
    if not values.size:
        return Estimate.undefined(NONE, unit)
    if not np.isfinite(values).all():
        return Estimate.undefined(ZERO, unit, values.size)
    error = None if values.size < 2 else float(np.std(values, ddof=1)) / math.sqrt(values.size)
    return Estimate(value=float(values.mean()), std_error=error, n=values.size, unit=unit)
