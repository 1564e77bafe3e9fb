"""What is known of one prompt's chance of success under the reference: classes, bounds, price.

The asymmetry rule: upper ends and ``out`` come from the reference's own samples. The functions that make them
take `ReferenceCounts` and no scored draws. Scored draws (`ScoredRound`) enter ``in`` and lower ends only.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from workers.estimators.betting import log_lower_bound, log_wealth
from workers.estimators.counts import (
    log_e_in,
    log_e_out,
    success_lower_bound,
    success_upper_bound,
)
from workers.estimators.estimate import Estimate
from workers.estimators.importance import Diagnostics, ScoredRound, diagnostics, pool
from workers.estimators.price import price_of, success_of
from workers.estimators.reference_counts import ReferenceCounts
from workers.numerics.checks import open_unit

Class = Literal["in", "out", "undetermined"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdEvidence:
    """Log e-values in nats at one threshold eps.

    Attributes:
        threshold: eps.
        log_e_in: Against a <= eps.
        log_e_out: Against a >= eps.
    """

    threshold: float
    log_e_in: float
    log_e_out: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceEvidence:
    """Everything that is known of a, the reference's chance of success on one prompt.

    Attributes:
        counts: The reference's own samples.
        at_use: Evidence at eps(K_use).
        at_probe: Evidence at eps(K_probe).
        log_lower: Lower bound of log a at alpha/2, nats; -inf if there is none.
        upper: Upper bound of a at alpha/2, from counts.
        success: a, unit ``probability``: the pilot's rate, with the interval of the two bounds.
        price: S = -log a in nats: the pooled point if its diagnostics are ok, else the pilot's; ``censored``
            with no upper end if no lower bound of a exists.
        scoring: Diagnostics of the scored draws of the whole run; None if scoring was not planned or no
            round has finished.
    """

    counts: ReferenceCounts
    at_use: ThresholdEvidence
    at_probe: ThresholdEvidence
    log_lower: float
    upper: float
    success: Estimate
    price: Estimate
    scoring: Diagnostics | None


def classify(log_e_in: float, log_e_out: float, log_target_in: float, log_target_out: float) -> Class:
    """The class at one threshold; targets in nats, ``log 1/alpha`` or higher.

    Both at once means that one of two rare errors happened, and is ``undetermined``.
    """
    reached, excluded = log_e_in >= log_target_in, log_e_out >= log_target_out
    if reached == excluded:
        return "undetermined"
    return "in" if reached else "out"


def log_e_in_combined(
    reference: ReferenceCounts, scoring: Sequence[ScoredRound] | None, threshold: float
) -> float:
    """Log e-value, in nats, against H0: a <= threshold: ``E = E_counts/2 + E_scoring/2``.

    Valid at the end of any round: both parts are e-processes of the rounds, and so is their mean. Where the
    log-spread makes scoring refuse, its part is 0, not left out: whether it refuses depends on the draws,
    and a mean whose weights depend on the draws is no e-value. If scoring was not planned (None), counts
    carry the whole weight.

    Args:
        reference: The reference's own samples.
        scoring: Finished rounds of fixed sizes; None if the plan has no scoring.
        threshold: eps in (0, 1).
    """
    from_counts = log_e_in(reference.successes, reference.n, threshold)
    if scoring is None:
        return from_counts
    from_scoring = -math.inf if _refused(scoring) else log_wealth(scoring, math.log(threshold))
    return float(np.logaddexp(from_counts, from_scoring)) - math.log(2.0)


def log_e_out_of_every_arm(arms: Sequence[ReferenceCounts], threshold: float, planned_n: int) -> float:
    """Log e-value, in nats, against "some arm has a >= threshold": the smallest over arms.

    An intersection-union test: no correction for the number of arms.

    Raises:
        ValueError: No arm.
    """
    return min(log_e_out(arm.successes, arm.n, threshold, planned_n) for arm in arms)


def lower_log_bound(
    reference: ReferenceCounts,
    scoring: Sequence[ScoredRound] | None,
    *,
    alpha: float,
    threshold: float,
    adaptive: bool,
) -> float:
    """A one-sided lower bound of log a, nats, at level alpha; -inf if there is none.

    Without scoring: the counts' own bound. With it, the larger of the counts' and the scoring's bound, each
    at alpha/2: one of them exceeds log a with chance at most alpha (union bound). The classes' mean of two
    e-values would cost the same log 2, but ties the counts to a confidence sequence even where their number
    was fixed in advance. Where scoring refuses, its half of the level is not handed back, since whether it
    refuses depends on the draws.

    Args:
        reference: The reference's own samples.
        scoring: As `log_e_in_combined`.
        alpha: Level, in (0, 1).
        threshold: A rate of interest, for the prior.
        adaptive: Whether the plan could have topped this prompt up.
    """
    open_unit(alpha, "alpha")
    share = alpha if scoring is None else 0.5 * alpha
    low = success_lower_bound(
        reference.pilot_successes,
        reference.pilot_n,
        reference.successes,
        reference.n,
        alpha=share,
        threshold=threshold,
        adaptive=adaptive,
    )
    from_counts = math.log(low) if low > 0.0 else -math.inf
    if not scoring or _refused(scoring):
        return from_counts
    return max(from_counts, log_lower_bound(scoring, share))


def reference_evidence(
    reference: ReferenceCounts,
    scoring: Sequence[ScoredRound] | None,
    *,
    epsilon_use: float,
    epsilon_probe: float,
    planned_n: int,
    alpha: float,
    adaptive: bool,
) -> ReferenceEvidence:
    """Classes' evidence, bounds and price of one prompt under the reference.

    The interval is two-sided at 1 - alpha, alpha/2 a side; the e-values are for one-sided classes.

    Args:
        reference: The reference's own samples.
        scoring: Finished rounds of fixed sizes; None if the plan has no scoring.
        epsilon_use: eps(K_use).
        epsilon_probe: eps(K_probe), at most epsilon_use.
        planned_n: The most samples of the plan, for the prior of ``out``.
        alpha: Level, in (0, 1).
        adaptive: Whether the plan could have topped this prompt up.

    Raises:
        ValueError: An argument is out of range, or a top-up under a fixed plan.
    """
    if epsilon_probe > epsilon_use:
        raise ValueError("the probe budget is at least the use budget")
    at_use, at_probe = (
        ThresholdEvidence(
            threshold=threshold,
            log_e_in=log_e_in_combined(reference, scoring, threshold),
            log_e_out=log_e_out(reference.successes, reference.n, threshold, planned_n),
        )
        for threshold in (epsilon_use, epsilon_probe)
    )
    log_lower = lower_log_bound(
        reference, scoring, alpha=alpha / 2, threshold=epsilon_probe, adaptive=adaptive
    )
    upper = success_upper_bound(
        reference.pilot_successes,
        reference.pilot_n,
        reference.successes,
        reference.n,
        alpha=alpha / 2,
        threshold=epsilon_probe,
        adaptive=adaptive,
    )
    return ReferenceEvidence(
        counts=reference,
        at_use=at_use,
        at_probe=at_probe,
        log_lower=log_lower,
        upper=upper,
        success=success_of(reference, log_lower, upper, alpha),
        price=price_of(reference, scoring, log_lower, upper, alpha),
        scoring=diagnostics(pool(scoring)) if scoring else None,
    )


def _refused(scoring: Sequence[ScoredRound]) -> bool:
    return bool(scoring) and diagnostics(pool(scoring)).refused
