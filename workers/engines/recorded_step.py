"""A decoding step as a CUDA graph: recorded once, then one launch for all its kernels."""

from collections import deque
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workers.engines.causal_model import CausalModel
from workers.engines.drawing import draw
from workers.engines.lean_cache import LeanCache
from workers.engines.policy import Policy

RECORD_AFTER: Final = 1
"""Steps of a grid before one is recorded, so that every kernel is compiled and loaded by then."""

LEAST_ROOM: Final = 4
"""Columns that must be free: recording a step takes about as long as running one."""

_AHEAD: Final = 2
"""Steps under way at most: the host notes the tokens of one while the device computes the next."""


class NotRecorded(Exception):
    """The device did not record the step; it must be run operation by operation."""


def can_record(model: CausalModel, policy: Policy) -> bool:
    """Whether steps of this model under this policy have the same operations each, on a device that records.

    A nucleus is looked for among the likeliest tokens first, which depends on where it ends.
    """
    return model.records_steps and model.is_lean and model.device.type == "cuda" and policy.top_p == 1


def refusal(error: RuntimeError) -> Exception:
    """What a failure to record is: memory that ran out, or a step that this device does not record.

    Args:
        error: The end of a recording that failed complains too, and hides why it failed in its context.
    """
    for cause in (error, error.__context__):
        if isinstance(cause, torch.OutOfMemoryError):
            return torch.OutOfMemoryError(str(cause))
    return NotRecorded(type(error).__name__)


class RecordedStep:
    """Steps of a grid that feed themselves: each draws a token for every row, and the next reads it.

    Args:
        model: One that computes by its own forward.
        cache: The grid, fixed (see `LeanCache.fix`), some steps old.
        policy: The decoding policy.
        uniforms: On the device. Shape ``(completions, T)``.
        rows: Which completion each slot of the grid holds; any where it is idle. Shape ``(slots,)``.
        lengths: Tokens that each slot's completion has. Shape ``(slots,)``.
        tokens: The latest of them. Shape ``(slots,)``.

    Raises:
        NotRecorded: if the device refuses.
        torch.OutOfMemoryError: if memory runs out meanwhile: fewer rows may be recorded.
    """

    def __init__(
        self,
        model: CausalModel,
        cache: LeanCache,
        policy: Policy,
        uniforms: Tensor,
        rows: NDArray[np.int64],
        lengths: NDArray[np.int64],
        tokens: NDArray[np.int64],
    ) -> None:
        self._model, self._cache, self._policy, self._uniforms = model, cache, policy, uniforms
        device = model.device
        self._rows, self._steps, self._tokens = (
            torch.from_numpy(each).to(device) for each in (rows, lengths, tokens)
        )
        shape = (2, len(rows))
        self._out = torch.empty(shape, dtype=torch.float64, device=device)
        self._host = [torch.empty(shape, dtype=torch.float64, pin_memory=True) for _ in range(_AHEAD)]
        self._under_way: deque[tuple[Tensor, torch.cuda.Event]] = deque()
        self._launched = 0
        self._graph = torch.cuda.CUDAGraph()
        try:
            self._record()
        except RuntimeError as error:
            raise refusal(error) from error

    @property
    def under_way(self) -> int:
        """Steps launched and not collected."""
        return len(self._under_way)

    @property
    def can_launch(self) -> bool:
        """Whether there is a column for another step, and room for its tokens on the host."""
        return self._cache.room > 0 and len(self._under_way) < _AHEAD

    def launch(self) -> None:
        """Start a step; nothing waits for it."""
        self._graph.replay()
        self._cache.used += 1
        host = self._host[self._launched % _AHEAD]
        host.copy_(self._out, non_blocking=True)
        done: torch.cuda.Event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        done.record()
        self._under_way.append((host, done))
        self._launched += 1

    def collect(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Tokens and log-probabilities of the oldest step under way, of every slot. Shapes ``(slots,)``.

        A log-probability is NaN where a score is NaN or +inf.
        """
        host, done = self._under_way.popleft()
        done.synchronize()
        tokens, logprobs = host.numpy()
        return tokens.astype(np.int64), logprobs.copy()

    def _record(self) -> None:
        # `torch.cuda.graph` would give all cached memory back to the device each time.
        stream: torch.cuda.Stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._graph.capture_begin(capture_error_mode="thread_local")
            try:
                self._advance()
            finally:
                self._graph.capture_end()
        torch.cuda.current_stream().wait_stream(stream)

    def _advance(self) -> None:
        hidden = self._model.extend(self._cache, self._tokens.unsqueeze(-1))[:, -1]
        uniforms = self._uniforms[self._rows, self._steps]
        tokens, logprobs = draw(self._model, hidden, self._policy, uniforms, checked=False)
        self._tokens.copy_(tokens)
        # A slot that ended is computed on until the grid is laid out anew, and nobody reads it.
        self._steps.add_(1).clamp_(max=self._uniforms.shape[1] - 1)
        self._out[0].copy_(tokens)
        self._out[1].copy_(logprobs)
