"""Completions under way and done, kept on the host: a step needs one transfer."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from workers.engines.causal_model import CausalModel
from workers.engines.policy import Policy
from workers.engines.stopping import completes_stop

FinishReason = Literal["eos", "stop", "length"]


@dataclass
class SampleBatch:
    """Completions of one prompt, in the order of their uniforms.

    Attributes:
        token_ids: Sampled ids of each, EOS included. Each of shape ``(length,)``.
        logprobs: Exact log-probability in nats of each sampled token under the policy. Each ``(length,)``.
        finish_reasons: What ended each.
        texts: Each completion's text.
    """

    token_ids: list[NDArray[np.int32]] = field(default_factory=list)
    logprobs: list[NDArray[np.float32]] = field(default_factory=list)
    finish_reasons: list[FinishReason] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)


def ending(model: CausalModel, token_ids: Sequence[int], policy: Policy) -> FinishReason | None:
    """What the last token of a completion, not ended before it, does to it.

    The one rule that sampling and enumeration share.

    EOS comes before a stop string, and both before the length limit.
    """
    if token_ids[-1] in model.eos_ids:
        return "eos"
    if policy.stop and completes_stop(model.text, token_ids, policy.stop):
        return "stop"
    return "length" if len(token_ids) >= policy.max_new_tokens else None


class Completions:
    """Completions by row.

    Args:
        model: Whose they are.
        count: Rows.
        policy: The decoding policy.
    """

    def __init__(self, model: CausalModel, count: int, policy: Policy) -> None:
        self._model = model
        self._policy = policy
        self._is_eos = np.zeros(model.vocabulary_size, dtype=bool)
        self._is_eos[[token for token in model.eos_ids if token < model.vocabulary_size]] = True
        self._ids = np.zeros((count, policy.max_new_tokens), dtype=np.int32)
        self._logprobs = np.zeros((count, policy.max_new_tokens), dtype=np.float32)
        self._reasons: list[FinishReason | None] = [None] * count
        self._texts: dict[bytes, str] = {}
        self.lengths = np.zeros(count, dtype=np.int64)

    def record(
        self, rows: NDArray[np.int64], tokens: NDArray[np.int64], logprobs: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Append one token to each row named; return which of them go on. Shape ``(len(rows),)``."""
        steps = self.lengths[rows]
        self._ids[rows, steps] = tokens
        self._logprobs[rows, steps] = logprobs
        self.lengths[rows] = steps + 1
        suspicious = self._is_eos[tokens] | (steps + 1 >= self._policy.max_new_tokens)
        goes_on = np.ones(len(rows), dtype=bool)
        for i in range(len(rows)) if self._policy.stop else np.flatnonzero(suspicious).tolist():
            row = int(rows[i])
            self._reasons[row] = ending(self._model, self._ids[row, : steps[i] + 1].tolist(), self._policy)
            goes_on[i] = self._reasons[row] is None
        return goes_on

    def latest(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The last token of each row named."""
        return self._ids[rows, self.lengths[rows] - 1].astype(np.int64)

    def unfinished(self) -> NDArray[np.int64]:
        """Rows that nothing has ended."""
        return np.flatnonzero([reason is None for reason in self._reasons])

    def forget(self, rows: NDArray[np.int64]) -> None:
        """Take back what was recorded of unfinished rows."""
        self.lengths[rows] = 0

    def batch(self, low: int, high: int) -> SampleBatch:
        """Finished rows low to high-1."""
        batch = SampleBatch()
        for row in range(low, high):
            reason, length = self._reasons[row], int(self.lengths[row])
            assert reason is not None
            batch.token_ids.append(self._ids[row, :length].copy())
            batch.logprobs.append(self._logprobs[row, :length].copy())
            batch.finish_reasons.append(reason)
            batch.texts.append(self._text(self._ids[row, :length]))
        return batch

    def _text(self, ids: NDArray[np.int32]) -> str:
        # Short completions recur, and decoding one takes as long as several of its tokens took to draw.
        key = ids.tobytes()
        if key not in self._texts:
            self._texts[key] = self._model.text(ids.tolist())
        return self._texts[key]
