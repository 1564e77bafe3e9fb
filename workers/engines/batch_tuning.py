"""The batch size at which a model draws fastest on this machine, found by trying a few."""

import time
from collections.abc import Callable, Iterator
from typing import Final

import torch

from workers.engines.causal_model import CausalModel
from workers.engines.drawing import draw
from workers.engines.lean_cache import LeanCache
from workers.engines.policy import Policy
from workers.engines.prefix_cache import repeated

LEAST: Final = 32
STEPS: Final = 4
"""Timed at each size, after one that is not; the fastest counts, because others only make a step slower."""
GAIN: Final = 1.05
"""What twice the rows must gain to be worth twice the memory, and twice the rows that idle at the end."""
PATIENCE_SECONDS: Final = 3.0
"""After which no larger size is tried: a model this slow computes at the rate of its products already."""


def fastest_batch(
    model: CausalModel, length: int, most: int, clock: Callable[[], float] = time.perf_counter
) -> int:
    """Rows to decode together: doubled as long as that draws more tokens a second.

    Which size it is depends on the clock, and the last bits of log-probabilities depend on the size.

    Args:
        model: Whose steps are timed.
        length: Tokens of a row, prompt included.
        most: Never more than this.
        clock: Reads seconds.
    """
    best, rate, started = min(most, LEAST), 0.0, clock()
    for size in _sizes(most):
        try:
            found = size / _step_seconds(model, length, size, clock)
        except torch.OutOfMemoryError:
            break
        if found < GAIN * rate:
            break
        best, rate = size, found
        if clock() - started > PATIENCE_SECONDS:
            break
    return best


def _sizes(most: int) -> Iterator[int]:
    size = LEAST
    while size < most:
        yield size
        size *= 2
    yield most


@torch.inference_mode()
def _step_seconds(model: CausalModel, length: int, rows: int, clock: Callable[[], float]) -> float:
    """Seconds of a step, in our own forward halfway through a completion as long as its prompt."""
    prefix = model.read([0] * max(1, length // 2))
    own = length // 4 if isinstance(prefix.cache, LeanCache) else 0
    cache = repeated(prefix.cache, rows, own + STEPS + 1)
    if isinstance(cache, LeanCache):
        cache.columns.zero_()  # what was attended to does not matter, that it is there does
        cache.used = own
    tokens = torch.zeros((rows, 1), dtype=torch.long, device=model.device)
    uniforms = torch.linspace(0, 1, rows + 1, dtype=torch.float64, device=model.device)[:rows]
    seconds = []
    for _ in range(STEPS + 1):
        start = clock()
        drawn, _ = draw(model, model.extend(cache, tokens)[:, -1], Policy(), uniforms)
        drawn.cpu()  # a GPU has then done what it was told
        seconds.append(clock() - start)
    return max(min(seconds[1:]), 1e-9)
