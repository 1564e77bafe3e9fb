"""The first checkpoint of a run at which shrinkage is certified, at one error level for the whole run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from workers.estimators.findings import log_e_lost
from workers.estimators.regimes import PromptEvidence
from workers.numerics.checks import open_unit


@dataclass(frozen=True, slots=True)
class CheckpointLoss:
    """The evidence that a checkpoint lost some prompt.

    Attributes:
        log_e_value: Against "no prompt is lost at this checkpoint", nats; None without a prompt.
        needed: What it must reach, nats.
    """

    log_e_value: float | None
    needed: float

    @property
    def certified(self) -> bool:
        """Whether it does."""
        return self.log_e_value is not None and self.log_e_value >= self.needed


def checkpoint_losses(checkpoints: Sequence[Sequence[PromptEvidence]], alpha: float) -> list[CheckpointLoss]:
    """Evidence of shrinkage at each of C checkpoints, with multiplicity over all of them.

    The mean over prompts of `log_e_lost`'s e-values is an e-value against "no prompt is lost", whatever the
    dependence between prompts. A checkpoint is certified where it reaches C/alpha: the chance that any
    checkpoint without a lost prompt is certified is then at most alpha (Markov and the union bound), at any
    stopping time, although all share the reference's samples. So the first certified checkpoint is at or
    after the first true loss with chance 1 - alpha; it may come later.

    Args:
        checkpoints: The evidence of every prompt, for each checkpoint in training order.
        alpha: Level for the whole run, in (0, 1).
    """
    if not checkpoints:
        return []
    needed = math.log(len(checkpoints)) - math.log(open_unit(alpha, "alpha"))
    return [CheckpointLoss(_mean_log_e(prompts), needed) for prompts in checkpoints]


def first_certified(losses: Sequence[CheckpointLoss]) -> int | None:
    """Index of the first certified checkpoint."""
    return next((index for index, loss in enumerate(losses) if loss.certified), None)


def _mean_log_e(prompts: Sequence[PromptEvidence]) -> float | None:
    if not prompts:
        return None
    return float(logsumexp(np.array([log_e_lost(one) for one in prompts])) - math.log(len(prompts)))
