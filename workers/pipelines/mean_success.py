"""Mean success of a side over prompts: pass@1."""

from collections.abc import Sequence

import numpy as np

from workers.estimators.dataset import PromptMean, mean_over_prompts
from workers.estimators.estimate import Estimate
from workers.estimators.pass_at_k import mean_pass_at_k
from workers.pipelines.observations import SideObservations
from workers.pipelines.prompt_result import CONFIDENCE, PromptResult


def families_of(results: Sequence[PromptResult]) -> list[str]:
    """A family a prompt; a prompt without one is a family of its own."""
    return [r.spec.family if r.spec.family is not None else f"\0{r.spec.id}" for r in results]


def mean_success(
    results: Sequence[PromptResult],
    sides: Sequence[SideObservations],
    estimates: Sequence[Estimate],
    rng: np.random.Generator,
) -> PromptMean:
    """Mean of the pilots' rates.

    The interval is that of pass@1, which resamples families and stays wide where no prompt succeeded; the
    sampling error is that of the prompts' own estimates.

    Args:
        results: The prompts.
        sides: One side of each.
        estimates: That side's success estimates.
        rng: Source of the resamples.
    """
    means = mean_over_prompts(estimates, CONFIDENCE, least=0.0, most=1.0)
    judged = [position for position, side in enumerate(sides) if side.pilot_n]
    if len(judged) < len(sides) or len(judged) < 2:
        return means
    first = mean_pass_at_k(
        [side.pilot_n for side in sides],
        [side.pilot_successes for side in sides],
        1,
        rng,
        confidence=CONFIDENCE,
        families=families_of(results),
    )
    return PromptMean(first.mean, means.sampling_std_error)
