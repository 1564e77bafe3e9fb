"""Tilt, drift and escape of one prompt, with the behaviours of its successes and for any reward."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workers.estimators.behaviours import (
    Behaviour,
    Label,
    classify_behaviours,
    members,
    readings,
    strategy_drift,
    within_strategy,
)
from workers.estimators.bootstrap_weights import BootstrapWeights
from workers.estimators.counts import epsilon, success_interval
from workers.estimators.decomposition import Decomposition, SupportReading, decompose, decompose_readings
from workers.estimators.estimate import Estimate
from workers.estimators.inside_tilt import InsideTilt, binary_tilt, dense_tilt
from workers.estimators.reading import CandidateScores
from workers.pipelines.arms import PolicyReach
from workers.pipelines.assessment import planned_samples
from workers.pipelines.observations import PromptObservations, SideObservations
from workers.pipelines.prompt_energy import is_dense, pooled_log_weights
from workers.pipelines.prompt_tables import Bools
from workers.pipelines.spec import AnalysisSpec


@dataclass(frozen=True, slots=True)
class Strategies:
    """What a labeller adds to one prompt.

    Attributes:
        behaviours: Those of the candidate's pilot, each with its class at K_probe.
        strategy: Drift between behaviours, nats.
        within: Drift within behaviours and among failures, nats.
    """

    behaviours: tuple[Behaviour, ...]
    strategy: Estimate
    within: Estimate


def decomposed(
    spec: AnalysisSpec,
    prompt: PromptObservations,
    candidate: SideObservations,
    scores: CandidateScores,
    kl: Estimate,
    success: Estimate,
    reach: PolicyReach,
    weights: BootstrapWeights,
    *,
    confidence: float,
) -> tuple[Decomposition, Strategies | None]:
    """Tilt, drift and escape of one prompt, and the split of drift where successes are labelled.

    Args:
        spec: The analysis.
        prompt: What was observed.
        candidate: Its candidate.
        scores: The candidate's pilot.
        kl: KL(q‖p) of the pilot.
        success: a, with an interval that spends half of the error.
        reach: The prompt's class at K_probe.
        weights: Of the Bayesian bootstrap.
        confidence: Nominal coverage of each term.
    """
    labelled = _is_labelled(prompt.reference, candidate)
    if not labelled and not is_dense(spec):
        simple = decompose(
            scores, kl, success, reach.label, weights, leans_out=reach.leans_out, confidence=confidence
        )
        return simple, None
    sides = _Sides(spec, prompt, candidate, success, (1 - confidence) / 2)
    behaviours = sides.behaviours() if labelled else []
    chosen = _chosen(spec, behaviours, prompt.reference, reach)
    supports = [sides.support(out, weights) for out in chosen]
    found = decompose_readings(
        scores, kl, supports, weights, confidence=confidence, reference_error=(1 - confidence) / 2
    )
    if not labelled:
        return found, None
    strategy = sides.strategy(chosen[0], found.drift, confidence)
    return found, Strategies(tuple(behaviours), strategy, within_strategy(found.drift, strategy))


def _is_labelled(*sides: SideObservations) -> bool:
    return any(label is not None for side in sides for label in side.behaviours)


def _chosen(
    spec: AnalysisSpec,
    behaviours: Sequence[Behaviour],
    reference: SideObservations,
    reach: PolicyReach,
) -> list[frozenset[Label] | None]:
    """Readings of O, the likelier first; None stands for all of C.

    Behaviours are judged under the analysis's own policy. What an arm reaches is none of O, and which
    behaviours it leaves out is not judged: both readings count.
    """
    if reach.label == "out":
        return [None]
    whole: list[frozenset[Label] | None] = [None, frozenset()] if reach.leans_out else [frozenset(), None]
    judged: list[frozenset[Label] | None] = []
    if behaviours:
        threshold = epsilon(spec.budget.k_probe, spec.thresholds.reach)
        judged = list(readings(behaviours, reference.n, threshold))
    if reach.by_arms:
        first: list[frozenset[Label] | None] = [frozenset()] if reach.label == "in" else whole
        return list(dict.fromkeys([*first, *judged]))
    return judged or ([frozenset()] if reach.label == "in" else whole)


class _Sides:
    """Both sides of one prompt, asked about parts of C.

    Args:
        spec: The analysis.
        prompt: What was observed.
        candidate: Its candidate.
        success: a, with its interval.
        error: What the reference's intervals may miss together.
    """

    def __init__(
        self,
        spec: AnalysisSpec,
        prompt: PromptObservations,
        candidate: SideObservations,
        success: Estimate,
        error: float,
    ) -> None:
        self._spec = spec
        self._reference = prompt.reference
        self._pair = prompt.pair
        self._success = success
        self._error = error
        self._threshold = epsilon(spec.budget.k_probe, spec.thresholds.reach)
        self._labels: Sequence[Label] = candidate.behaviours[: candidate.pilot_n]
        self._correct, self._rewards = candidate.pilot, candidate.rewards[: candidate.pilot_n]
        if prompt.pair is not None:
            start = prompt.pair.n_p
            self._labels = prompt.pair.behaviours[start:]
            self._correct, self._rewards = prompt.pair.correct[start:], prompt.pair.rewards[start:]

    def behaviours(self) -> list[Behaviour]:
        """The candidate's behaviours, judged."""
        return classify_behaviours(
            self._reference.behaviours,
            self._reference.correct,
            self._labels,
            self._correct,
            threshold=self._threshold,
            planned_n=planned_samples(self._spec, self._spec.budget.k_probe),
            alpha=self._spec.thresholds.alpha,
        )

    def support(self, out: frozenset[Label] | None, weights: BootstrapWeights) -> SupportReading:
        """The reading in which `out` is out of reach; None stands for all of C."""
        there = self._members(self._reference.behaviours, self._reference.correct, out)
        here = self._members(self._labels, self._correct, out)
        mass = self._out_mass(there, out)
        whole = mass is None
        return SupportReading(here, mass, self._tilt(here, there, mass, weights, whole=whole))

    def strategy(self, out: frozenset[Label] | None, drift: Estimate, confidence: float) -> Estimate:
        """Drift between the behaviours that are left inside the support."""
        pilot = self._reference.pilot_n
        there = self._reference.behaviours[:pilot], self._reference.pilot
        here = self._labels, self._correct
        shown = {z for labels, correct in (there, here) for z, c in zip(labels, correct, strict=True) if c}
        kept = [] if out is None else sorted(shown - out, key=lambda z: (z is None, z or ""))
        masses = None if self._pair is None else [self._pooled(frozenset((z,))) for z in kept]
        return strategy_drift(
            [int(members(*there, (z,)).sum()) for z in kept],
            pilot,
            [int(members(*here, (z,)).sum()) for z in kept],
            len(self._labels),
            drift,
            p_masses=masses,
            confidence=confidence,
        )

    def _members(self, labels: Sequence[Label], correct: Bools, out: frozenset[Label] | None) -> Bools:
        return correct if out is None else members(labels, correct, out)

    def _out_mass(self, there: Bools, out: frozenset[Label] | None) -> Estimate | None:
        if out is None:
            return self._success
        if not out:
            return None
        return self._rate(there, self._reference.pilot_n, None if self._pair is None else self._pooled(out))

    def _tilt(
        self, here: Bools, there: Bools, mass: Estimate | None, weights: BootstrapWeights, *, whole: bool
    ) -> InsideTilt:
        within, error = (None if whole else ~here), self._error / 3
        if is_dense(self._spec):
            pilot = self._reference.pilot_n
            rewards = self._reference.rewards[:pilot][~there[:pilot]]
            return dense_tilt(self._rewards, within, rewards, weights, error)
        if mass is None:
            return binary_tilt(self._correct, None, self._success, error)
        inside = self._reference.correct[~there]
        kept = int((~there[: self._reference.pilot_n]).sum())
        a, p_out = self._success.value, mass.value
        point = None if a is None or p_out is None or p_out >= 1 else max((a - p_out) / (1 - p_out), 0.0)
        return binary_tilt(self._correct, within, self._rate(inside, kept, point), error)

    def _rate(self, hits: Bools, pilot_n: int, point: float | None) -> Estimate:
        """Chance of a hit from the reference's samples; a better point may stand for the pilot's rate."""
        if pilot_n == 0:
            return Estimate.undefined("no reference sample inside the support", "probability")
        low, high = success_interval(
            int(hits[:pilot_n].sum()),
            pilot_n,
            int(hits.sum()),
            hits.size,
            confidence=1 - self._error / 2,
            threshold=self._threshold,
            adaptive=self._spec.budget.adaptive,
        )
        value = float(hits[:pilot_n].mean()) if point is None else point
        value = min(max(value, low), high)
        return Estimate(
            value=value,
            std_error=math.sqrt(value * (1 - value) / pilot_n),
            ci_low=low,
            ci_high=high,
            confidence=1 - self._error / 2,
            n=hits.size,
            unit="probability",
        )

    def _pooled(self, out: frozenset[Label]) -> float:
        """p(O) by the balance heuristic over both sides' pilots: a point, never an upper end."""
        pair = self._pair
        if pair is None:
            raise ValueError("pooling needs scores")
        weights = np.exp(pooled_log_weights(pair))
        return float((weights * members(pair.behaviours, pair.correct, out)).sum()) / pair.log_p.size
