"""Estimates as JSON values."""

from dataclasses import asdict
from typing import Any

from workers.estimators.dataset import PromptMean
from workers.estimators.estimate import Estimate

Json = dict[str, Any]


def estimate_json(estimate: Estimate) -> Json:
    """An estimate as the result document has it."""
    return asdict(estimate)


def mean_json(mean: PromptMean) -> Json:
    """A mean over prompts as the result document has it."""
    return {**asdict(mean.population), "sampling_std_error": mean.sampling_std_error}
