"""Rows of `by_inverse_temperature`: log Z, equilibrium, free energy and gap of a prompt, and their means."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.estimators.bootstrap_weights import BootstrapWeights
from workers.estimators.dataset import PromptMean, mean_over_prompts
from workers.estimators.estimate import Estimate
from workers.estimators.ordered import Ordered
from workers.estimators.partition import equilibrium, positive
from workers.estimators.sample_mean import mean_estimate

Floats = NDArray[np.float64]
REWARD: Final = "reward"


@dataclass(frozen=True, slots=True)
class TiltRow:
    """Free energies at one inverse temperature, for one prompt.

    Attributes:
        inverse_temperature: β, 1/reward.
        log_partition: log Z_β, nats.
        equilibrium: F*_β = -log Z_β / β, reward.
        free_energy: F_β(q) = E_q[-r] + KL(q‖p)/β, reward.
        gap: F_β(q) - F*_β = KL(q‖p_β)/β >= 0, reward.
    """

    inverse_temperature: float
    log_partition: Estimate
    equilibrium: Estimate
    free_energy: Estimate
    gap: Estimate


@dataclass(frozen=True, slots=True)
class MeanTiltRow:
    """Means of `TiltRow` over prompts, each with its population interval and sampling error."""

    inverse_temperature: float
    log_partition: PromptMean
    equilibrium: PromptMean
    free_energy: PromptMean
    gap: PromptMean


def tilt_rows(
    inverse_temperatures: Sequence[float],
    log_partitions: Sequence[Estimate],
    rewards: Floats,
    kl_rb: Floats,
    kl: Estimate,
    weights: BootstrapWeights,
    confidence: float = 0.95,
) -> list[TiltRow]:
    """Rows of `by_inverse_temperature` for one prompt.

    The gap combines two independent sets of samples, so its interval is a Bonferroni sum: the error left over
    by `log_partitions` goes to the free energy.

    Args:
        inverse_temperatures: β > 0 of each row.
        log_partitions: log Z_β of each row, with confidence above `confidence` (e.g. 0.975 for 0.95).
        rewards: r of candidate samples. Shape ``(n,)``.
        kl_rb: Σ_t KL(q_t‖p_t) of the same samples, nats. Shape ``(n,)``.
        kl: Their `KLResult.rb`; where it is undefined so are free energy and gap, for its reason.
        weights: Of the Bayesian bootstrap.
        confidence: Nominal coverage of each interval of free energy and gap.

    Raises:
        ValueError: A β is not positive, or a log-partition's interval leaves no error to spend.
    """
    rows = []
    for beta, log_z in zip(inverse_temperatures, log_partitions, strict=True):
        least = _equilibrium_estimate(log_z, beta)
        if kl.value is None:
            missing = Estimate.undefined(kl.reason, REWARD, kl.n)
            rows.append(TiltRow(beta, log_z, least, missing, missing))
            continue
        per_sample = Ordered(
            np.asarray(kl_rb, dtype=np.float64) / beta - np.asarray(rewards, dtype=np.float64)
        )
        energy = mean_estimate(per_sample, weights, unit=REWARD, confidence=confidence)
        rows.append(
            TiltRow(beta, log_z, least, energy, _gap_estimate(per_sample, least, weights, confidence))
        )
    return rows


def mean_tilt_rows(
    prompts: Sequence[Sequence[TiltRow]],
    confidence: float = 0.95,
    *,
    families: Sequence[str] | None = None,
) -> list[MeanTiltRow]:
    """Means over prompts of each row; every prompt has the same inverse temperatures, in the same order.

    Args:
        prompts: The rows of each prompt.
        confidence: Nominal coverage of the population intervals.
        families: See `mean_over_prompts`.

    Raises:
        ValueError: Prompts differ in their inverse temperatures.
    """

    def mean(estimates: Sequence[Estimate], least: float = -math.inf) -> PromptMean:
        return mean_over_prompts(estimates, confidence, least=least, families=families)

    means = []
    for rows in zip(*prompts, strict=True):
        if len({row.inverse_temperature for row in rows}) != 1:
            raise ValueError("prompts must share their inverse temperatures")
        means.append(
            MeanTiltRow(
                rows[0].inverse_temperature,
                mean([row.log_partition for row in rows]),
                mean([row.equilibrium for row in rows]),
                mean([row.free_energy for row in rows]),
                mean([row.gap for row in rows], 0.0),
            )
        )
    return means


def _equilibrium_estimate(log_z: Estimate, beta: float) -> Estimate:
    positive(beta)
    if log_z.value is None:
        return Estimate.undefined(log_z.reason, REWARD, log_z.n)
    return Estimate(
        value=equilibrium(log_z.value, beta),
        std_error=None if log_z.std_error is None else log_z.std_error / beta,
        ci_low=None if log_z.ci_high is None else equilibrium(log_z.ci_high, beta),
        ci_high=None if log_z.ci_low is None else equilibrium(log_z.ci_low, beta),
        confidence=log_z.confidence,
        n=log_z.n,
        unit=REWARD,
        status=log_z.status,
        reason=log_z.reason,
    )


def _gap_estimate(
    per_sample: Ordered, least: Estimate, weights: BootstrapWeights, confidence: float
) -> Estimate:
    """F - F*, raised to the 0 that the exact gap cannot fall below."""
    if least.value is None:
        return Estimate.undefined(least.reason, REWARD, least.n)
    spent = 0.0 if least.confidence is None else 1 - least.confidence
    if spent >= 1 - confidence:
        raise ValueError("the log-partition's interval must be at a higher confidence than the gap's")
    energy = mean_estimate(per_sample, weights, unit=REWARD, confidence=confidence + spent)
    if energy.value is None:
        return energy
    high = math.inf if energy.ci_high is None or least.ci_low is None else energy.ci_high - least.ci_low
    low = -math.inf if energy.ci_low is None or least.ci_high is None else energy.ci_low - least.ci_high
    value = max(energy.value - least.value, 0.0)
    error = (
        None
        if energy.std_error is None or least.std_error is None
        else math.hypot(energy.std_error, least.std_error)
    )
    weak = energy if energy.status != "ok" else least
    return Estimate.from_interval(
        value,
        max(min(low, value), 0.0),
        max(high, value),
        confidence=confidence,
        n=energy.n,
        unit=REWARD,
        std_error=error,
        reason=weak.reason,
        status=None if weak.status == "ok" else weak.status,
    )
