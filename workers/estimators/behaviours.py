"""Which behaviours of a prompt the reference does not reach, and how far the others changed places.

A behaviour z is a label g(y) of successes; a success without a label is the behaviour None. What is out of
reach is judged by counts of the reference's own samples alone. Which behaviours are judged is decided by the
candidate's fixed pilot, which says nothing about the reference's samples, so every e-value stays one.
"""

import itertools
import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from workers.estimators.counts import clopper_pearson, log_e_in, log_e_out
from workers.estimators.estimate import Estimate
from workers.estimators.selection import e_bh
from workers.estimators.term import NATS, Term, cover
from workers.estimators.tilt import bernoulli_range

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Label = str | None
Reach = Literal["in", "out", "undetermined"]

#: Boxes of more behaviours have too many corners (4 to the power of their number) to visit each.
MOST_CORNERS: Final = 6


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One behaviour of a prompt's candidate.

    Attributes:
        label: g(y); None for successes without a label.
        reference: Reference samples that show it, of all decided ones.
        candidate: Samples of the candidate's pilot that show it.
        log_e_in: Evidence against p(z) <= ε(K_probe), nats.
        log_e_out: Evidence against p(z) >= ε(K_probe), nats.
        reach: ``out`` if selected by e-BH among the prompt's behaviours, ``in`` at the level of one.
    """

    label: Label
    reference: int
    candidate: int
    log_e_in: float
    log_e_out: float
    reach: Reach


def classify_behaviours(
    reference: Sequence[Label],
    reference_success: Bools,
    candidate: Sequence[Label],
    candidate_success: Bools,
    *,
    threshold: float,
    planned_n: int,
    alpha: float,
) -> list[Behaviour]:
    """Judge every behaviour that the candidate's pilot shows, most frequent first.

    Within the prompt the false discovery rate of ``out`` is at most `alpha` (e-BH over the behaviours, under
    any dependence between their counts); ``in`` holds for each behaviour at `alpha`.

    Args:
        reference: Labels of all decided reference samples. Length n_p.
        reference_success: Which of them succeeded. Shape ``(n_p,)``.
        candidate: Labels of the candidate's pilot. Length n_q.
        candidate_success: Which of it succeeded. Shape ``(n_q,)``.
        threshold: ε(K_probe, ρ), in (0, 1).
        planned_n: As `log_e_out`.
        alpha: Error level, in (0, 1).

    Raises:
        ValueError: Labels and successes differ in number.
    """
    there, seen = _counted(reference, reference_success), _counted(candidate, candidate_success)
    labels = sorted(seen, key=lambda label: (-seen[label], label is None, label or ""))
    n = len(reference)
    against_in = [log_e_in(there[label], n, threshold) for label in labels]
    against_out = [log_e_out(there[label], n, threshold, planned_n) for label in labels]
    out = e_bh(np.array(against_out), alpha)
    target = -math.log(alpha)
    return [
        Behaviour(label, there[label], seen[label], inside, outside, _reach(inside, bool(selected), target))
        for label, inside, outside, selected in zip(labels, against_in, against_out, out, strict=True)
    ]


def readings(behaviours: Sequence[Behaviour], samples: int, threshold: float) -> list[frozenset[Label]]:
    """O as the likelier reading has it, then at its least and at its largest, without repeats.

    Args:
        behaviours: What was judged.
        samples: Decided reference samples.
        threshold: ε(K_probe, ρ): below it an undetermined behaviour leans out.
    """
    least = frozenset(b.label for b in behaviours if b.reach == "out")
    unsure = [b for b in behaviours if b.reach == "undetermined"]
    lean = least | {b.label for b in unsure if b.reference < threshold * samples or b.reference == 0}
    most = least | {b.label for b in unsure}
    return list(dict.fromkeys((frozenset(lean), least, frozenset(most))))


def members(labels: Sequence[Label], success: Bools, chosen: Collection[Label]) -> Bools:
    """Which samples are successes of the chosen behaviours. Shape ``(n,)``."""
    return np.array([s and label in chosen for label, s in zip(labels, success, strict=True)], dtype=np.bool_)


def strategy_drift(
    p_counts: Sequence[int],
    p_samples: int,
    q_counts: Sequence[int],
    q_samples: int,
    drift: Estimate,
    *,
    p_masses: Sequence[float] | None = None,
    confidence: float = 0.95,
) -> Estimate:
    """Nats of drift between behaviours: b'·KL(q_z‖p_z) of the laws of z given a success inside the support.

    The tilt reweights successes together, so the chain rule splits drift into this and what happens within
    each behaviour (and among failures). The value is a plug-in corrected for its second-order bias, within
    [0, drift]. The lower end is by data processing, one behaviour against the others at a time; the upper end
    the greatest value over a box of exact binomial intervals, or drift's where that is infinite or the box
    has too many corners. Both spend the error by Bonferroni.

    Args:
        p_counts: Samples of each behaviour inside the support among a fixed number of reference samples.
        p_samples: That number.
        q_counts: The same of the candidate's pilot.
        q_samples: Its size.
        drift: The drift that is split, nats.
        p_masses: Better points for p(z) than counts, such as pooled weights; they enter the value only.
        confidence: Nominal coverage.

    Raises:
        ValueError: Counts differ in number.
    """
    if len(p_counts) != len(q_counts):
        raise ValueError("one count per behaviour and side")
    if drift.value is None:
        return Estimate.undefined(drift.reason, NATS, drift.n)
    if len(q_counts) < 2 or sum(q_counts) == 0:
        return Estimate(value=0.0, n=q_samples, unit=NATS)
    term = _strategy_term(p_counts, p_samples, q_counts, q_samples, drift, p_masses, confidence)
    return Estimate.from_interval(
        math.inf if term.value is None else term.value,
        term.low,
        term.high,
        confidence=confidence,
        n=q_samples,
        unit=NATS,
        reason="a behaviour of the candidate that no reference sample shows" if term.value is None else "",
    )


def within_strategy(drift: Estimate, strategy: Estimate) -> Estimate:
    """What is left of drift: changes within behaviours and among failures, nats, never negative."""
    if drift.value is None or strategy.value is None:
        return Estimate.undefined(drift.reason or strategy.reason, NATS, drift.n)
    low = (drift.ci_low or 0.0) - (math.inf if strategy.ci_high is None else strategy.ci_high)
    high = math.inf if drift.ci_high is None else drift.ci_high - (strategy.ci_low or 0.0)
    value = max(drift.value - strategy.value, 0.0)
    return Estimate.from_interval(
        value,
        max(min(low, value), 0.0),
        max(high, value),
        confidence=max(2 * (drift.confidence or 0.95) - 1, 1e-9),
        n=drift.n,
        unit=NATS,
        reason=drift.reason,
        status=None if drift.status == "ok" else drift.status,
    )


def _reach(log_e_in: float, out: bool, target: float) -> Reach:
    if out:
        return "out"
    return "in" if log_e_in >= target else "undetermined"


def _counted(labels: Sequence[Label], success: Bools) -> Counter[Label]:
    if len(labels) != len(success):
        raise ValueError("one label per sample")
    return Counter(label for label, succeeded in zip(labels, success, strict=True) if succeeded)


def _strategy_term(
    p_counts: Sequence[int],
    p_samples: int,
    q_counts: Sequence[int],
    q_samples: int,
    drift: Estimate,
    p_masses: Sequence[float] | None,
    confidence: float,
) -> Term:
    q = np.array(q_counts, dtype=np.float64) / q_samples
    p = np.array(p_counts, dtype=np.float64) / max(p_samples, 1)
    if p_masses is not None:
        p = np.array(p_masses, dtype=np.float64)
    shown = q > 0
    value: float | None = None
    if (p[shown] > 0).all():
        raw = _between(q, p)
        # Each of K cells but one adds 1/(2n) to the plug-in; noise of p(z) half its relative variance.
        bias = (int(shown.sum()) - 1) / (2 * q_samples)
        if p_masses is None:
            seen = np.array(p_counts, dtype=np.float64)[shown]
            bias += float(np.sum(q[shown] * np.minimum(1 / seen, 0.25))) / 2 - float(q.sum()) / (
                2 * seen.sum()
            )
        value = min(max(raw - max(bias, 0.0), 0.0), drift.value or 0.0)
    level = 1 - (1 - confidence) / (2 * len(q_counts))
    q_box = [clopper_pearson(c, q_samples, level) for c in q_counts]
    p_box = [clopper_pearson(c, p_samples, level) for c in p_counts]
    high = math.inf if drift.ci_high is None else drift.ci_high
    cornered = _greatest(q_box, p_box) if len(q_counts) <= MOST_CORNERS else math.inf
    if math.isfinite(cornered):
        high = cornered
    low = _least(p_counts, q_counts, q_samples, level)
    return cover(Term(value, min(low, high), high, None))


def _between(q: Floats, p: Floats) -> float:
    """Σ_z q_z·log(q_z/p_z) - b'·log(b'/a'), b' and a' the sums; convex in (q, p)."""
    kept = q > 0
    total = float(np.sum(q[kept] * (np.log(q[kept]) - np.log(p[kept]))))
    b, a = float(q.sum()), float(p.sum())
    return max(total - b * math.log(b / a), 0.0)


def _greatest(q_box: Sequence[tuple[float, float]], p_box: Sequence[tuple[float, float]]) -> float:
    """Greatest `_between` over a box: a convex function has its maximum at a corner."""
    if any(high > 0 and low <= 0 for (_, high), (low, _) in zip(q_box, p_box, strict=True)):
        return math.inf
    corners = (
        _between(np.array(q), np.array(p))
        for q in itertools.product(*q_box)
        for p in itertools.product(*p_box)
        if sum(q) > 0
    )
    return max(corners, default=math.inf)


def _least(p_counts: Sequence[int], q_counts: Sequence[int], q_samples: int, level: float) -> float:
    """B' times the greatest lower bound of a Bernoulli KL, one behaviour against the rest at a time."""
    p_total, q_total = sum(p_counts), sum(q_counts)
    b_low, _ = clopper_pearson(q_total, q_samples, level)
    ends = [
        bernoulli_range(*clopper_pearson(p, p_total, level), *clopper_pearson(q, q_total, level))[0]
        for p, q in zip(p_counts, q_counts, strict=True)
    ]
    return b_low * max(ends, default=0.0)
