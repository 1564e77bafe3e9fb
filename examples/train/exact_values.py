"""Exact success of two models on some prompts, to hold estimates against."""

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from exact_success import exact_success
from prices import load

NEGLIGIBLE = 0.0
"""Prefixes less probable than this are not followed: what they hold stays far below any printed digit."""


@dataclass(frozen=True, slots=True)
class ExactValues:
    """Chances of success by prompt id.

    Attributes:
        reference: Of the base.
        candidate: Of the post-trained model.
    """

    reference: dict[str, float]
    candidate: dict[str, float]

    @classmethod
    def compute(cls, models: Path, candidate: str, prompts: list[dict[str, Any]]) -> "ExactValues":
        """Score every correct completion of every prompt under both models."""
        torch.set_num_threads(1)
        return cls(*(_of(models / name, prompts) for name in ("tiny-base", candidate)))

    @property
    def mean_reference(self) -> float:
        """Mean of a over the prompts."""
        return fmean(self.reference.values())

    @property
    def mean_candidate(self) -> float:
        """Mean of b over the prompts."""
        return fmean(self.candidate.values())

    @property
    def mean_gain(self) -> float:
        """Mean of b - a over the prompts."""
        return self.mean_candidate - self.mean_reference


def _of(folder: Path, prompts: list[dict[str, Any]]) -> dict[str, float]:
    network, tokenizer = load(folder)
    return {
        prompt["id"]: exact_success(
            network, tokenizer, prompt["prompt"], prompt["answer"], negligible=NEGLIGIBLE
        ).value
        for prompt in prompts
    }
