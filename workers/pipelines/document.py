"""Estimates as JSON values."""

from dataclasses import fields
from typing import Any, Final

from workers.estimators.dataset import PromptMean
from workers.estimators.estimate import Estimate

Json = dict[str, Any]

_FIELDS: Final = tuple(field.name for field in fields(Estimate))


def estimate_json(estimate: Estimate) -> Json:
    """An estimate as the result document has it."""
    # Plain values all: `dataclasses.asdict` would copy each of them deeply.
    return {name: getattr(estimate, name) for name in _FIELDS}


def mean_json(mean: PromptMean) -> Json:
    """A mean over prompts as the result document has it."""
    return {**estimate_json(mean.population), "sampling_std_error": mean.sampling_std_error}
