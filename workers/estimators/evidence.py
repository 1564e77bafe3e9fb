"""What is known of one prompt's chance of success on one side: classes, bounds, price.

The asymmetry rule: upper ends and ``out`` come from a side's own samples. The functions that make them take
its counts (`reference_counts`) and no scored draws. Scored draws (`ScoredRound`) enter ``in`` and lower ends
of the reference only.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Generic, Literal, TypeAlias

import numpy as np

from workers.estimators.counts import log_e_in, log_e_out, success_lower_bound
from workers.estimators.estimate import Estimate
from workers.estimators.importance import Diagnostics, diagnostics
from workers.estimators.price import price_of, success_of
from workers.estimators.reference_counts import (
    CandidateCounts,
    CountsT,
    ReferenceCounts,
    SideCounts,
    UpperEnd,
    upper_end,
)
from workers.estimators.scored_round import ScoredRound
from workers.estimators.scored_sources import (
    Source,
    best_log_bound,
    best_source,
    mean_log_wealth,
    sources_of,
)
from workers.numerics.checks import open_unit

Class = Literal["in", "out", "undetermined"]

COUNTS_SHARE: Final = 2 / 3
"""The counts' weight in the mean of two e-values where scoring is planned, before any draw; decision 005."""


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
class SuccessEvidence(Generic[CountsT]):
    """Everything that is known of one side's chance of success a on one prompt.

    Attributes:
        counts: The side's own samples.
        at_use: Evidence at eps(K_use).
        at_probe: Evidence at eps(K_probe).
        log_lower: Lower bound of log a at alpha/2, nats; -inf if there is none.
        upper: Upper bound of a at alpha/2, from counts.
        success: a, unit ``probability``: the pilot's rate, with the interval of the two bounds.
        price: S = -log a in nats: the pooled point, the pilot's, or the ELBO's bound as a doubtful point;
            graded by how near the ends of its interval are; ``censored`` with no upper end if no lower bound
            of a exists.
        scoring: Diagnostics of the scored draws of the whole run; None if scoring was not planned or no
            round has finished.
    """

    counts: CountsT
    at_use: ThresholdEvidence
    at_probe: ThresholdEvidence
    log_lower: float
    upper: UpperEnd
    success: Estimate
    price: Estimate
    scoring: Diagnostics | None


ReferenceEvidence: TypeAlias = SuccessEvidence[ReferenceCounts]
CandidateEvidence: TypeAlias = SuccessEvidence[CandidateCounts]
SideEvidence: TypeAlias = ReferenceEvidence | CandidateEvidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """What the evidence of a prompt is judged at; fixed by the request.

    Attributes:
        epsilon_use: eps(K_use).
        epsilon_probe: eps(K_probe), at most epsilon_use.
        planned_n: The most samples of the plan, for the prior of ``out``.
        alpha: Level, in (0, 1); intervals are two-sided at 1 - alpha.
        adaptive: Whether the plan could have topped this prompt up.

    Raises:
        ValueError: The thresholds are in the wrong order, or alpha is out of range.
    """

    epsilon_use: float
    epsilon_probe: float
    planned_n: int
    alpha: float
    adaptive: bool

    def __post_init__(self) -> None:
        """Check the order of the thresholds."""
        open_unit(self.alpha, "alpha")
        if self.epsilon_probe > self.epsilon_use:
            raise ValueError("the probe budget is at least the use budget")


def classify(log_e_in: float, log_e_out: float, log_target_in: float, log_target_out: float) -> Class:
    """The class at one threshold; targets in nats, ``log 1/alpha`` or higher.

    Both at once means that one of two rare errors happened, and is ``undetermined``.
    """
    reached, excluded = log_e_in >= log_target_in, log_e_out >= log_target_out
    if reached == excluded:
        return "undetermined"
    return "in" if reached else "out"


def log_e_in_combined(
    own: SideCounts,
    scoring: Sequence[ScoredRound] | None,
    threshold: float,
    beside: Sequence[Source] = (),
) -> float:
    """Log e-value, in nats, against H0: a <= threshold: ``2/3 E_counts + 1/3 E_scoring``.

    Valid at the end of any round: both parts are e-processes of the rounds, and so is their mean. Where the
    log-spread makes scoring refuse, only Markov's part of it is left (`betting`). If scoring was not planned
    (None), counts carry the whole weight.

    Args:
        own: The own samples of the side that is judged.
        scoring: Finished rounds of fixed sizes; None if the plan has no scoring.
        threshold: eps in (0, 1).
        beside: Other proposals, whose draws may depend on all the rest: see `scored_sources`.
    """
    from_counts, sources = log_e_in(own.successes, own.n, threshold), sources_of(scoring, beside)
    if sources is None:
        return from_counts
    from_scoring = mean_log_wealth(sources, math.log(threshold))
    return float(np.logaddexp(from_counts + math.log(COUNTS_SHARE), from_scoring + math.log1p(-COUNTS_SHARE)))


def log_e_out_of_every_arm(arms: Sequence[ReferenceCounts], threshold: float, planned_n: int) -> float:
    """Log e-value, in nats, against "some arm has a >= threshold": the smallest over arms.

    An intersection-union test: no correction for the number of arms.

    Raises:
        ValueError: No arm.
    """
    return min(log_e_out(arm.successes, arm.n, threshold, planned_n) for arm in arms)


def lower_log_bound(
    own: SideCounts,
    scoring: Sequence[ScoredRound] | None,
    *,
    alpha: float,
    threshold: float,
    adaptive: bool,
    beside: Sequence[Source] = (),
) -> float:
    """A one-sided lower bound of log a, nats, at level alpha; -inf if there is none.

    Without scoring: the counts' own bound. With it, the larger of the counts' and the scoring's bound, each
    at alpha/2: one of them exceeds log a with chance at most alpha (union bound). The classes' mean of two
    e-values would cost no less for both, and ties the counts to a confidence sequence even where their number
    was fixed in advance. Where scoring refuses, its bound is Markov's.

    Args:
        own: The own samples of the side that is judged.
        scoring: As `log_e_in_combined`.
        alpha: Level, in (0, 1).
        threshold: A rate of interest, for the prior.
        adaptive: Whether the plan could have topped this prompt up.
        beside: As `log_e_in_combined`.
    """
    open_unit(alpha, "alpha")
    sources = sources_of(scoring, beside)
    share = alpha if sources is None else 0.5 * alpha
    low = success_lower_bound(
        own.pilot_successes,
        own.pilot_n,
        own.successes,
        own.n,
        alpha=share,
        threshold=threshold,
        adaptive=adaptive,
    )
    from_counts = math.log(low) if low > 0.0 else -math.inf
    return from_counts if sources is None else max(from_counts, best_log_bound(sources, share))


def reference_evidence(
    reference: ReferenceCounts,
    scoring: Sequence[ScoredRound] | None,
    levels: Levels,
    beside: Sequence[Source] = (),
) -> ReferenceEvidence:
    """Classes' evidence, bounds and price of one prompt under the reference.

    The interval is two-sided at 1 - alpha, alpha/2 a side; the e-values are for one-sided classes.

    Args:
        reference: The reference's own samples.
        scoring: Finished rounds of fixed sizes, of any proposals; None if the plan has no scoring.
        levels: Thresholds, prior and level.
        beside: As `log_e_in_combined`.

    Raises:
        ValueError: A top-up under a fixed plan.
    """
    return _evidence(reference, scoring, levels, beside)


def at_other_probe(
    known: ReferenceEvidence,
    scoring: Sequence[ScoredRound] | None,
    levels: Levels,
    beside: Sequence[Source] = (),
) -> ReferenceEvidence:
    """`reference_evidence` of the same samples at another eps(K_probe).

    Bounds and price of a prompt that was not topped up do not look at that threshold (`success_interval`),
    so only the e-values are made anew, at both thresholds: the prior belongs to K_probe.

    Args:
        known: The evidence at the same eps(K_use) and levels, whatever its eps(K_probe).
        scoring: What `known` was made of.
        levels: With the other eps(K_probe), and its prior.
        beside: What `known` was made of.
    """
    if known.counts.n > known.counts.pilot_n:
        return reference_evidence(known.counts, scoring, levels, beside)
    at_use, at_probe = (
        _at_threshold(known.counts, scoring, threshold, levels.planned_n, beside)
        for threshold in (levels.epsilon_use, levels.epsilon_probe)
    )
    return replace(known, at_use=at_use, at_probe=at_probe)


def candidate_evidence(candidate: CandidateCounts, levels: Levels) -> CandidateEvidence:
    """The same of the candidate, from its own samples alone.

    Args:
        candidate: The candidate's own samples.
        levels: Thresholds, prior and level.

    Raises:
        ValueError: A top-up under a fixed plan.
    """
    return _evidence(candidate, None, levels)


def _evidence(
    own: CountsT,
    scoring: Sequence[ScoredRound] | None,
    levels: Levels,
    beside: Sequence[Source] = (),
) -> SuccessEvidence[CountsT]:
    at_use, at_probe = (
        _at_threshold(own, scoring, threshold, levels.planned_n, beside)
        for threshold in (levels.epsilon_use, levels.epsilon_probe)
    )
    half, threshold = levels.alpha / 2, levels.epsilon_probe
    log_lower = lower_log_bound(
        own, scoring, alpha=half, threshold=threshold, adaptive=levels.adaptive, beside=beside
    )
    sources = sources_of(scoring, beside)
    pointing = None if sources is None else best_source(sources)
    upper = upper_end(own, alpha=half, threshold=threshold, adaptive=levels.adaptive)
    return SuccessEvidence(
        counts=own,
        at_use=at_use,
        at_probe=at_probe,
        log_lower=log_lower,
        upper=upper,
        success=success_of(own, log_lower, upper, levels.alpha),
        price=price_of(own, pointing, log_lower, upper, levels.alpha),
        scoring=diagnostics(pointing) if pointing else None,
    )


def _at_threshold(
    own: SideCounts,
    scoring: Sequence[ScoredRound] | None,
    threshold: float,
    planned_n: int,
    beside: Sequence[Source],
) -> ThresholdEvidence:
    return ThresholdEvidence(
        threshold=threshold,
        log_e_in=log_e_in_combined(own, scoring, threshold, beside),
        log_e_out=log_e_out(own.successes, own.n, threshold, planned_n),
    )
