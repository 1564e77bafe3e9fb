"""The tilted references of one prompt: partition function and response, for a verifier or any reward."""

from typing import Final

import numpy as np

from workers.estimators.bootstrap_weights import BootstrapWeights
from workers.estimators.counts import log_budget
from workers.estimators.estimate import Estimate
from workers.estimators.partition import binary_log_partition, dense_log_partition
from workers.estimators.response import (
    ResponsePoint,
    binary_response,
    dense_response,
    integrated_log_partition,
)
from workers.estimators.scored_round import balance_log_weights
from workers.pipelines.observations import PromptObservations, ScoredPair
from workers.pipelines.prompt_tables import Floats
from workers.pipelines.spec import AnalysisSpec

RESPONSE_POINTS: Final = 25
"""Inverse temperatures of the response curve: enough for a smooth drawing."""

INTEGRATION_POINTS: Final = 33
"""Of a thermodynamic integration: left and right sums differ by a thirtieth of β times the reward's rise."""

BEYOND_BUDGET: Final = 2.0
"""1/reward by which a verifier's curve goes beyond Λ(K_probe), where the last prompts in reach respond."""


def is_dense(spec: AnalysisSpec) -> bool:
    """Whether rewards are any numbers, of which a threshold makes successes."""
    return spec.success_threshold is not None


def log_partitions(
    spec: AnalysisSpec, prompt: PromptObservations, success: Estimate, weights: BootstrapWeights
) -> list[Estimate]:
    """Log Z of each inverse temperature: exact in a for a verifier, else by log-mean-exp.

    Where one sample carries the mean, thermodynamic integration along the pooled samples' response takes its
    place, if there are scores to pool by.
    """
    if not is_dense(spec):
        return [binary_log_partition(success, beta) for beta in spec.inverse_temperatures]
    rewards = prompt.reference.rewards[: prompt.reference.pilot_n]
    level = success.confidence or 0.975
    found = [dense_log_partition(rewards, b, weights, confidence=level) for b in spec.inverse_temperatures]
    pair = prompt.pair
    if pair is None:
        return found
    return [
        estimate if estimate.status != "unreliable" else _integrated(pair, beta, estimate)
        for beta, estimate in zip(spec.inverse_temperatures, found, strict=True)
    ]


def response(spec: AnalysisSpec, prompt: PromptObservations, success: Estimate) -> list[ResponsePoint]:
    """E_{p_β}[r] and Var_{p_β}(r) on the grid of the curve."""
    top = max(spec.inverse_temperatures)
    if not is_dense(spec):
        top = max(top, log_budget(spec.budget.k_probe, spec.thresholds.reach) + BEYOND_BUDGET)
        return binary_response(success, _grid(top, RESPONSE_POINTS))
    grid = _grid(top, RESPONSE_POINTS)
    if prompt.pair is None:
        return dense_response(prompt.reference.rewards[: prompt.reference.pilot_n], None, grid)
    return dense_response(prompt.pair.rewards, pooled_log_weights(prompt.pair), grid)


def _grid(top: float, points: int) -> list[float]:
    return [float(beta) for beta in np.linspace(0.0, top, points)]


def _integrated(pair: ScoredPair, beta: float, from_reference: Estimate) -> Estimate:
    points = dense_response(pair.rewards, pooled_log_weights(pair), _grid(beta, INTEGRATION_POINTS))
    return integrated_log_partition(points, from_reference)


def pooled_log_weights(pair: ScoredPair) -> Floats:
    """Log of p over the mixture of both sides' pilots, for each of their samples. Shape `(n_p + n_q,)`."""
    return balance_log_weights(pair.log_p, [pair.log_p, pair.log_q], [pair.n_p, pair.n_q])
