"""Estimates as JSON values, and documents as text."""

import json
from dataclasses import fields
from typing import Any, Final

from pydantic_core import to_json

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


def indented_json(value: object) -> bytes:
    """JSON text with a line for each value, in UTF-8.

    Raises:
        ValueError: A number is NaN or infinite: JSON has neither.
    """
    # Of the standard library's encoders the one that indents is written in Python, 20 times as slow.
    text = to_json(value, indent=1, inf_nan_mode="constants")
    if b"NaN" in text or b"Infinity" in text:
        json.dumps(value, allow_nan=False)  # raises, unless it was a word of a text
    return text
