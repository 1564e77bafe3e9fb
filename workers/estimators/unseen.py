"""Behaviours: entropy of their labels, mass not yet seen, and what only the candidate was seen to do.

A label is a coarse outcome (correct or incorrect, an answer, a strategy), never a sequence.
"""

import math
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Sequence
from typing import Final

import numpy as np
from scipy import stats

from workers.estimators.counts import clopper_pearson
from workers.estimators.estimate import Estimate
from workers.estimators.sample_mean import SINGLE

PROBABILITY: Final = "probability"
NATS: Final = "nats"
#: With more unseen mass than this the entropy is mostly extrapolation.
LARGEST_UNSEEN: Final = 0.3
NO_SAMPLES: Final = "no samples"


def unseen_mass(
    labels: Sequence[Hashable], confidence: float = 0.95, known: Collection[Hashable] = ()
) -> Estimate:
    """Good-Turing estimate f₁/n of the mass of behaviours not seen in n samples.

    The interval is the union of two, neither of which covers alone: Clopper-Pearson on f₁ of n, and Esty's
    normal one (1983, Ann. Statist. 11, 905), with variance [f₁(1 - f₁/n) + 2 f₂]/n², one more pair for the
    case that none was seen and 1/n for bias. At n = 64 and 95 % it covers in about 95 % of simulations on
    uniform, Zipf, geometric and dominated distributions.

    Args:
        labels: Behaviour of each sample.
        confidence: Nominal coverage.
        known: Labels that were known before the first sample, such as failure: one of them seen once is no
            sign of others unseen.
    """
    n = len(labels)
    if n == 0:
        return Estimate.undefined(NO_SAMPLES, PROBABILITY)
    singles, pairs = _multiplicities([label for label in labels if label not in known])
    value = singles / n
    error = math.sqrt(singles * (1 - value) + 2 * (pairs + 1)) / n
    z = float(stats.norm.ppf(0.5 + confidence / 2))
    reach = z * error + 1 / n  # the bias of f₁/n is at most 1/n
    low, high = clopper_pearson(singles, n, confidence)
    return Estimate(
        value=value,
        std_error=error,
        ci_low=max(min(low, value - reach), 0.0),
        ci_high=min(max(high, value + reach), 1.0),
        confidence=confidence,
        n=n,
        unit=PROBABILITY,
    )


def behaviour_entropy(
    labels: Sequence[Hashable], alphabet: int | None = None, confidence: float = 0.95
) -> Estimate:
    """Entropy -Σ P log P of the behaviour labels, nats, with the Miller-Madow correction (K - 1)/(2n).

    The plug-in is biased low, so the lower end is plug-in - t·SE without the correction. The upper end is the
    corrected value + t·SE + h(u) + u·log N: u is the upper end of the unseen mass, h the binary entropy and N
    Chao's (1984) estimate of the number of unseen behaviours.

    Args:
        labels: Behaviour of each sample.
        alphabet: Number of possible labels if it is known; bounds value and interval by its logarithm.
        confidence: Nominal coverage.

    Raises:
        ValueError: There are more labels than `alphabet`.
    """
    n = len(labels)
    if n == 0:
        return Estimate.undefined(NO_SAMPLES, NATS)
    shares = np.array(sorted(Counter(labels).values()), dtype=np.float64) / n
    if alphabet is not None and shares.size > alphabet:
        raise ValueError("more labels than the alphabet holds")
    most = math.inf if alphabet is None else math.log(alphabet)
    surprise = -np.log(shares)
    plug_in = max(float(shares @ surprise), 0.0)
    value = min(plug_in + (shares.size - 1) / (2 * n), most)
    if n == 1:
        return Estimate(value=value, n=1, unit=NATS, status="unreliable", reason=SINGLE)
    variance = float(shares @ (surprise - plug_in) ** 2)
    error = math.sqrt(variance / (n - 1))
    t = float(stats.t.ppf(0.5 + confidence / 2, n - 1))
    unseen = unseen_mass(labels, confidence)
    high = value + t * error + _unseen_entropy(labels, unseen.ci_high or 0.0)
    many = (unseen.value or 0.0) > LARGEST_UNSEEN
    return Estimate(
        value=value,
        std_error=error,
        ci_low=max(plug_in - t * error, 0.0),
        ci_high=max(min(high, most), value),
        confidence=confidence,
        n=n,
        unit=NATS,
        status="unreliable" if many else "ok",
        reason="most behaviours are still unseen" if many else "",
    )


def novel_mass(
    reference_labels: Iterable[Hashable],
    candidate_labels: Sequence[Hashable],
    confidence: float = 0.95,
    known: Collection[Hashable] = (),
) -> Estimate:
    """The candidate's mass on behaviours that these reference samples never showed; Clopper-Pearson.

    It is relative to the reference's samples at hand, not to its support: compare with `unseen_mass` of the
    reference, which is what a second reference would score.

    Args:
        reference_labels: Behaviour of each reference sample.
        candidate_labels: Behaviour of each candidate sample.
        confidence: Nominal coverage.
        known: Labels that are never novel, such as failure.
    """
    n = len(candidate_labels)
    if n == 0:
        return Estimate.undefined(NO_SAMPLES, PROBABILITY)
    shown = {*reference_labels, *known}
    novel = sum(label not in shown for label in candidate_labels)
    low, high = clopper_pearson(novel, n, confidence)
    share = novel / n
    return Estimate(
        value=share,
        std_error=math.sqrt(share * (1 - share) / (n - 1)) if n > 1 else None,
        ci_low=low,
        ci_high=high,
        confidence=confidence,
        n=n,
        unit=PROBABILITY,
    )


def _multiplicities(labels: Sequence[Hashable]) -> tuple[int, int]:
    """f₁ and f₂: how many labels occur exactly once, and twice."""
    counts = Counter(labels).values()
    return sum(count == 1 for count in counts), sum(count == 2 for count in counts)


def _unseen_entropy(labels: Sequence[Hashable], mass: float) -> float:
    singles, pairs = _multiplicities(labels)
    unseen = singles * (singles - 1) / (2 * (pairs + 1))
    u = min(mass, 0.5)  # h is largest at 1/2
    split = -u * math.log(u) - (1 - u) * math.log1p(-u) if u > 0 else 0.0
    return split + mass * math.log(max(unseen, 1.0))
