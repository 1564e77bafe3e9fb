"""The `reward_model` signal: a model of the registry scores prompt and completion."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from workers.verifiers.judgement import AnswerKey, Case, FinishReason, Judgement, failed, graded

Logits = Callable[[Sequence[tuple[str, str]]], list[list[float] | None]]
"""From (prompt, completion) pairs to the head's outputs; None where a pair exceeds the model's context."""

BATCH: Final = 16
"""Pairs between two reports of progress."""


@dataclass(frozen=True, slots=True)
class RewardVerifier:
    """Reward a completion by one output of a reward model's head.

    Attributes:
        logits: Scores pairs.
        label: Which output counts.
        activation: What is done to it: `softmax` runs over all outputs.
        success_threshold: Reward from which a completion is a success.
    """

    logits: Logits
    label: int
    activation: Literal["none", "sigmoid", "softmax"]
    success_threshold: float
    version: str = "reward_model/1"
    batch_size: int = BATCH

    def judge(self, text: str, key: AnswerKey, finish_reason: FinishReason) -> Judgement:
        """Judge one completion."""
        return self.judge_many([Case(text, key, finish_reason)])[0]

    def judge_many(self, cases: Sequence[Case]) -> list[Judgement]:
        """Judge each; text cut by the length limit is scored as it stands."""
        found = self.logits([(case.key.prompt, case.text) for case in cases])
        return [self._judgement(outputs) for outputs in found]

    def _judgement(self, outputs: list[float] | None) -> Judgement:
        if outputs is None:
            return failed("prompt and completion exceed the reward model's context")
        if self.label >= len(outputs):
            return failed(f"the reward model has {len(outputs)} outputs, and none of number {self.label}")
        reward = self._reward(outputs)
        if not math.isfinite(reward):
            return failed("the reward model's output is no finite number")
        return graded(reward, self.success_threshold)

    def _reward(self, outputs: list[float]) -> float:
        value = outputs[self.label]
        if self.activation == "sigmoid":
            return 1 / (1 + math.exp(-value)) if value > 0 else math.exp(value) / (1 + math.exp(value))
        if self.activation == "softmax":
            peak = max(outputs)
            weights = [math.exp(output - peak) for output in outputs]
            return weights[self.label] / math.fsum(weights)
        return value
