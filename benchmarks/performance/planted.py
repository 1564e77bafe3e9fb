"""Prompts whose truth is a finite sum, and what an analysis of them costs in tokens."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.calibration.reports import Report, report_of
from benchmarks.calibration.worlds import World, mode_world
from workers.pipelines.spec import AnalysisSpec


@dataclass(frozen=True, slots=True)
class Cost:
    """Units of one mean completion: a token drawn and a token scored each count as one token.

    Attributes:
        reference: Reference samples.
        candidate: Candidate samples.
        scored: Samples read by the other side's model.
    """

    reference: int
    candidate: int
    scored: int

    @property
    def tokens(self) -> int:
        """Everything that went through a model."""
        return self.reference + self.candidate + self.scored


def spread_world(a: float, b: float, deviation: float) -> World:
    """A correct set of six modes whose log-ratios q/p have this standard deviation, nats."""
    quantiles = np.array([-1.2, -0.6, -0.2, 0.2, 0.6, 1.2])
    return mode_world(a, b, spread=tuple(deviation * quantiles / quantiles.std()))


def analysed(
    spec: AnalysisSpec, worlds: Sequence[World], rng: np.random.Generator, *, scored: bool = True
) -> tuple[Report, Cost]:
    """Run an analysis by the service's planner and rules, and count what it took.

    Args:
        spec: The analysis.
        worlds: One a prompt.
        rng: Source of all samples.
        scored: Whether the two sides can score each other's samples.
    """
    report = report_of(spec, worlds, rng, scored=scored)
    reference = sum(o.reference.n for o in report.observations)
    candidate = sum(o.candidate.n for o in report.observations if o.candidate is not None)
    return report, Cost(reference, candidate, report.scored)


def brute_draws(a: float, rmse: float) -> int:
    """Draws of the reference after which ``log10(c/n)`` has this root mean square error; computed, not run.

    Successes are Poisson at these rates; a run without one has no estimate, and is left out as if it were
    free.
    """
    low, high = 1.0, 1e6
    while high / low > 1.0001:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if _log10_rmse(middle) <= rmse else (middle, high)
    return math.ceil(high / a)


def _log10_rmse(mean: float) -> float:
    top = int(mean + 12 * math.sqrt(mean) + 30)
    counts = np.arange(1, top + 1)
    log_chance = counts * math.log(mean) - mean - np.cumsum(np.log(counts))
    chance = np.exp(log_chance)
    error = np.log10(counts / mean) ** 2
    return math.sqrt(float(chance @ error) / float(chance.sum()))
