"""What a verifier's own errors leave of a success rate, by a labelled audit of the verifier.

With f the rate at which wrong texts are accepted and m the rate at which right ones are refused, a verifier
accepts at the rate ``a' = f + a (1 - f - m)``, hence ``a = (a' - f)/(1 - f - m)`` (Rogan and Gladen 1978).
For f + m < 1 the map rises in a, so each statement about a is one about a' at the worst rates that the audit
leaves: ``a <= eps`` implies ``a' <= f (1-eps) + (1-m) eps`` at the highest f and the lowest m, and
``a >= eps`` implies ``a' >=`` the same at the lowest f and the highest m.

Assumed: the audit's texts stand for those that are sampled, and the two rates are the same on every prompt.
"""

import math
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from workers.estimators.counts import clopper_pearson
from workers.estimators.estimate import Estimate
from workers.estimators.evidence import SuccessEvidence, ThresholdEvidence
from workers.estimators.price import graded
from workers.estimators.reference_counts import CandidateCounts, ReferenceCounts, UpperEnd
from workers.numerics.checks import open_unit

_SURE, _NEVER = 1 - 1e-12, 1e-300

CountsT = TypeVar("CountsT", ReferenceCounts, CandidateCounts)

BLIND: Final = "the audit does not show that the verifier is better than chance"
AUDIT_SHARE: Final = 0.25
"""Of an error level, for the four ends of the audit's two rates; the rest is the samples'.

All four, because an interval of a uses all of them, and so does a loss: one side in reach, the other out.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """A labelled audit of a verifier.

    Attributes:
        right: Texts that are right by their label.
        accepted_right: Those of them that the verifier accepts.
        wrong: Texts that are wrong by their label.
        accepted_wrong: Those of them that the verifier accepts.

    Raises:
        ValueError: Counts contradict each other.
    """

    right: int
    accepted_right: int
    wrong: int
    accepted_wrong: int

    def __post_init__(self) -> None:
        """Reject counts that no audit could give."""
        if not (0 <= self.accepted_right <= self.right and 0 <= self.accepted_wrong <= self.wrong):
            raise ValueError("more texts accepted than audited")

    def false_positive_rate(self, confidence: float) -> Estimate:
        """How often a wrong text is accepted, with the exact interval."""
        return _rate(self.accepted_wrong, self.wrong, confidence, "no wrong text in the audit")

    def false_negative_rate(self, confidence: float) -> Estimate:
        """How often a right text is refused, with the exact interval."""
        return _rate(self.right - self.accepted_right, self.right, confidence, "no right text in the audit")

    def bounds(self, alpha: float) -> "NoiseBounds":
        """The worst rates that the audit leaves for statements at level alpha.

        Each of the four ends errs with chance ``AUDIT_SHARE alpha / 4``: they all hold but for AUDIT_SHARE
        alpha, so that every statement of a report, and of all checkpoints of a run, shares that error.
        """
        confidence = 1.0 - open_unit(alpha, "alpha") * AUDIT_SHARE / 2
        f_low, f_high = clopper_pearson(self.accepted_wrong, self.wrong, confidence)
        m_low, m_high = clopper_pearson(self.right - self.accepted_right, self.right, confidence)
        return NoiseBounds(f_low, f_high, m_low, m_high)

    @property
    def informative(self) -> float | None:
        """Youden's index ``1 - f - m``; None where the audit finds no better than chance."""
        if not self.right or not self.wrong:
            return None
        index = self.accepted_right / self.right - self.accepted_wrong / self.wrong
        return index if index > 0 else None

    def corrected(self, rate: float) -> float | None:
        """The Rogan-Gladen point, between 0 and 1; None where the audit finds no better than chance."""
        if self.informative is None:
            return None
        return min(1.0, max(0.0, (rate - self.accepted_wrong / self.wrong) / self.informative))


@dataclass(frozen=True, slots=True)
class NoiseBounds:
    """Bounds of the two error rates of a verifier: f of wrong texts, m of right ones."""

    f_low: float
    f_high: float
    m_low: float
    m_high: float

    @property
    def informative(self) -> bool:
        """Whether the verifier is better than chance at every rate that the audit leaves."""
        return self.f_high + self.m_high < 1.0

    def highest_accepted(self, a: float) -> float:
        """The highest accepted rate at a true rate of a."""
        return self.f_high * (1 - a) + (1 - self.m_low) * a

    def lowest_accepted(self, a: float) -> float:
        """The lowest accepted rate at a true rate of a."""
        return self.f_low * (1 - a) + (1 - self.m_high) * a

    def true_interval(self, low: float, high: float) -> tuple[float, float]:
        """Bounds of a from bounds of the accepted rate; (0, 1) if the verifier may be no better than chance.

        Args:
            low: Lower bound of a'.
            high: Upper bound of a'.
        """
        if not self.informative:
            return 0.0, 1.0
        lower = (low - self.f_high) / (1 - self.f_high - self.m_low)
        upper = (high - self.f_low) / (1 - self.f_low - self.m_high)
        return min(1.0, max(0.0, lower)), min(1.0, max(0.0, upper))


@dataclass(frozen=True, slots=True)
class Noise:
    """An audit with its bounds at the level of the classes."""

    audit: Audit
    for_classes: NoiseBounds


def at_threshold(
    bounds: NoiseBounds, epsilon: float, for_in: ThresholdEvidence, for_out: ThresholdEvidence
) -> ThresholdEvidence:
    """Evidence about a at a threshold from evidence about a' at the two thresholds that it implies.

    Args:
        bounds: Of the verifier's rates.
        epsilon: The threshold of a.
        for_in: Evidence at `in_threshold`.
        for_out: Evidence at `out_threshold`.
    """
    usable = bounds.informative
    return ThresholdEvidence(
        threshold=epsilon,
        log_e_in=for_in.log_e_in if usable and bounds.highest_accepted(epsilon) < 1 else -math.inf,
        log_e_out=for_out.log_e_out if usable and bounds.lowest_accepted(epsilon) > 0 else -math.inf,
    )


def accepted_thresholds(bounds: NoiseBounds | None, epsilon: float) -> tuple[float, float]:
    """The accepted rates above which a > epsilon, and below which a < epsilon; epsilon without an audit."""
    return (
        (epsilon, epsilon)
        if bounds is None
        else (in_threshold(bounds, epsilon), out_threshold(bounds, epsilon))
    )


def in_threshold(bounds: NoiseBounds, epsilon: float) -> float:
    """The accepted rate above which a > epsilon, kept inside (0, 1): at 1 nothing shows it."""
    return min(bounds.highest_accepted(epsilon), _SURE) if bounds.informative else _SURE


def out_threshold(bounds: NoiseBounds, epsilon: float) -> float:
    """The accepted rate below which a < epsilon, kept inside (0, 1): at 0 nothing shows it."""
    return max(bounds.lowest_accepted(epsilon), _NEVER) if bounds.informative else _NEVER


def true_evidence(
    audit: Audit, bounds: NoiseBounds, accepted: SuccessEvidence[CountsT], confidence: float
) -> SuccessEvidence[CountsT]:
    """Bounds, rate and price of a from those of a'; the classes' evidence stays.

    Args:
        audit: The audit.
        bounds: Its bounds at the level of the interval.
        accepted: Evidence about a', its bounds at ``1 - AUDIT_SHARE`` of that level.
        confidence: Coverage of the interval that results.
    """
    low, high = bounds.true_interval(min(math.exp(accepted.log_lower), accepted.upper), accepted.upper)
    seen = accepted.success
    point = None if seen.value is None else audit.corrected(seen.value)
    if point is None:
        reason = BLIND
        success = Estimate.undefined(reason, seen.unit, seen.n)
        price = Estimate.undefined(reason, "nats", seen.n)
    else:
        point = min(max(point, low), high)
        success = Estimate.from_interval(point, low, high, confidence=confidence, n=seen.n, unit=seen.unit)
        price = graded(
            Estimate.from_interval(
                _price(point), _price(high), _price(low), confidence=confidence, n=seen.n, unit="nats"
            ),
            is_scored=False,
        )
    return replace(
        accepted,
        log_lower=math.log(low) if low > 0 else -math.inf,
        upper=UpperEnd(high),
        success=success,
        price=price,
    )


def _price(a: float) -> float:
    return -math.log(a) if a > 0 else math.inf


def _rate(count: int, total: int, confidence: float, missing: str) -> Estimate:
    if total == 0:
        return Estimate.undefined(missing, "probability")
    low, high = clopper_pearson(count, total, confidence)
    return Estimate(
        value=count / total, ci_low=low, ci_high=high, confidence=confidence, n=total, unit="probability"
    )
