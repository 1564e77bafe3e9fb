"""Sampling completions of many prompts at once: finished rows make room for the next ones."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import structlog
import torch
from numpy.typing import NDArray

from workers.engines.batch_memory import BatchSize
from workers.engines.causal_model import CausalModel
from workers.engines.completions import Completions
from workers.engines.drawing import draw, draw_from_one
from workers.engines.errors import EngineAborted, NonFiniteLogits
from workers.engines.lean_cache import LeanCache, gathered
from workers.engines.policy import Policy, policy_log_probs
from workers.engines.prefix_memory import Prefix
from workers.engines.recorded_step import LEAST_ROOM, RECORD_AFTER, NotRecorded, RecordedStep, can_record

log = structlog.get_logger(__name__)

# A new grid copies the cache of the rows under way once; a quarter of idle rows pays for that in a few steps.
_IDLE_SHARE: Final = 0.25
_ROOM: Final = {False: 64, True: 128}
"""Columns allotted at once, on a CPU and on a GPU, where every grid is recorded: what it holds beyond its
oldest row."""


class GridDecoder:
    """Rows of several prompts, decoded together.

    A row's completion depends on its own uniforms only: which rows are decoded beside it changes the shape of
    the products, and so the last bits of its logits.

    Args:
        model: One that computes by its own forward.
        prompts: Token ids of each prompt.
        counts: Completions of each.
        uniforms: In [0, 1), one per token, prompts one after another. Shape ``(sum of counts, T)``.
        policy: The decoding policy.
        size: Rows decoded together; halved when memory runs out.
        should_stop: Asked at every token.
        on_progress: Told how many completions are finished.
    """

    def __init__(
        self,
        model: CausalModel,
        prompts: Sequence[Sequence[int]],
        counts: Sequence[int],
        uniforms: NDArray[np.float64],
        policy: Policy,
        size: BatchSize,
        should_stop: Callable[[], bool] | None,
        on_progress: Callable[[int], None] | None,
    ) -> None:
        self._model, self._prompts, self._policy, self._size = model, prompts, policy, size
        self._should_stop, self._on_progress = should_stop, on_progress
        self._uniforms = torch.from_numpy(uniforms).to(model.device)
        self._owner = np.repeat(np.arange(len(prompts)), counts)
        self._queue = deque(range(len(uniforms)))
        self._prefixes: dict[int, tuple[Prefix, torch.Tensor]] = {}
        self._finished = 0
        self._new = 0  # rows admitted since a fit was noted
        self.completions = Completions(model, len(uniforms), policy)
        # Row of each slot of the grid, -1 where it is idle.
        self._slots: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._cache: LeanCache | None = None
        self._age = 0  # steps of this grid
        self._records = can_record(model, policy)

    @torch.inference_mode()
    def run(self) -> Completions:
        """Decode everything.

        Raises:
            EngineAborted: if `should_stop` said so.
            torch.OutOfMemoryError: if a single row does not fit.
        """
        while self._queue or len(self._live()):
            try:
                self._arrange()
                live = len(self._live())
                if live:
                    self._step()
                    self._note_fit(live)
                while not self._wants_new_grid():
                    if self._can_replay():
                        self._replay()
                    else:
                        self._step()
                if self._on_progress is not None:
                    self._on_progress(self._finished)
            except torch.OutOfMemoryError:
                if not self._start_over():
                    raise
        return self.completions

    def _live(self) -> NDArray[np.int64]:
        """Slots whose rows go on."""
        return np.flatnonzero(self._slots >= 0)

    def _wants_new_grid(self) -> bool:
        live = len(self._live())
        wanted = self._size.size if self._queue else len(self._slots)
        return live == 0 or live <= (1 - _IDLE_SHARE) * wanted or self._cache is None or not self._cache.room

    def _note_fit(self, live: int) -> None:
        """A grid fitted; it counts as a further batch once as many new rows as it holds came in."""
        if self._new >= self._size.size:
            self._size.fitted(live)
            self._new = 0

    def _start_over(self) -> bool:
        """After memory ran out, draw the rows under way again, fewer at a time; False if there is one."""
        queued = np.array(self._queue, dtype=np.int64)
        rows = np.setdiff1d(self.completions.unfinished(), queued)
        self._model.prefixes.clear()
        self._slots, self._cache = np.empty(0, dtype=np.int64), None
        self._size.failed(len(rows))
        self.completions.forget(rows)
        self._queue.extendleft(rows[::-1].tolist())
        return len(rows) > 1

    def _arrange(self) -> None:
        """Drop finished rows, admit new ones, and lay all out anew, the rows of a prompt side by side."""
        kept = self._live()
        rows, origin = self._slots[kept], kept
        started = self._admitted(self._size.size - len(rows))
        rows = np.concatenate([rows, started])
        origin = np.concatenate([origin, np.full(len(started), -1)])
        if not len(rows):
            self._slots, self._cache = np.empty(0, dtype=np.int64), None
            return
        owners, counts = np.unique(self._owner[rows], return_counts=True)
        each = rows_per_block(counts.tolist())
        slots, taken, heads = [], [], []
        for owner in owners.tolist():
            mine = np.flatnonzero(self._owner[rows] == owner)
            for lo in range(0, len(mine), each):
                part = mine[lo : lo + each]
                idle = np.full(each - len(part), -1)
                slots.append(np.concatenate([rows[part], idle]))
                taken.append(np.concatenate([origin[part], idle]))
                heads.append(self._prefix(owner)[0].cache)
        old, self._cache = self._cache, None
        self._slots = np.concatenate(slots)
        longest = int(self.completions.lengths[rows].max()) - 1
        left = self._policy.max_new_tokens - 1 - int(self.completions.lengths[rows].min() - 1)
        self._cache = gathered(
            heads,
            each,
            min(left, _ROOM[self._model.device.type == "cuda"]),
            source=old,
            rows=torch.from_numpy(np.concatenate(taken)).to(self._model.device),
            longest=longest,
            packs=self._model.device.type == "cpu",
        )
        self._age = 0
        if self._model.device.type == "cuda":
            self._cache.fix()
        waiting = {int(self._owner[row]) for row in self._queue} | set(owners.tolist())
        self._prefixes = {owner: self._prefixes[owner] for owner in self._prefixes if owner in waiting}

    def _admitted(self, count: int) -> NDArray[np.int64]:
        """New rows with their first token drawn; those that end with it never enter the grid."""
        started: list[int] = []
        while self._queue and len(started) < count:
            owner = int(self._owner[self._queue[0]])
            rows: list[int] = []
            while self._queue and len(started) + len(rows) < count and self._owner[self._queue[0]] == owner:
                rows.append(self._queue.popleft())
            self._new += len(rows)
            _, law = self._prefix(owner)
            uniforms = self._uniforms[rows, 0]
            # One row of law serves every first token, so it cannot depend on the batch.
            tokens, logprobs = draw_from_one(law, uniforms)
            started += self._noted(np.array(rows), tokens.cpu().numpy(), logprobs.cpu().numpy()).tolist()
        return np.array(started, dtype=np.int64)

    def _prefix(self, owner: int) -> tuple[Prefix, torch.Tensor]:
        if owner not in self._prefixes:
            prefix = self._model.read(self._prompts[owner])
            law = policy_log_probs(self._model.logits(prefix.hidden), self._policy)
            self._prefixes[owner] = prefix, law
        return self._prefixes[owner]

    def _can_replay(self) -> bool:
        if not self._records or self._cache is None:
            return False
        return self._age >= RECORD_AFTER and self._cache.room >= LEAST_ROOM

    def _replay(self) -> None:
        """Record a step, and replay it until a new grid is wanted."""
        assert self._cache is not None
        live = self._live()
        rows = np.maximum(self._slots, 0)
        tokens = np.zeros(len(rows), dtype=np.int64)
        tokens[live] = self.completions.latest(self._slots[live])
        lengths = np.minimum(self.completions.lengths[rows], self._uniforms.shape[1] - 1)
        try:
            step = RecordedStep(self._model, self._cache, self._policy, self._uniforms, rows, lengths, tokens)
        except NotRecorded as error:
            log.warning("step_not_recorded", error=str(error))
            self._records = self._model.records_steps = False
            return
        while step.under_way or not self._wants_new_grid():
            while step.can_launch and not self._wants_new_grid():
                step.launch()
            self._stop_if_asked()
            drawn, logprobs = step.collect()
            live = self._live()
            if np.isnan(logprobs[live]).any():
                raise NonFiniteLogits("the model returned logits that are NaN or infinite")
            self._note(live, drawn[live], logprobs[live])

    def _stop_if_asked(self) -> None:
        if self._should_stop is not None and self._should_stop():
            raise EngineAborted("sampling was stopped")

    def _step(self) -> None:
        self._stop_if_asked()
        assert self._cache is not None
        live = self._live()
        rows = self._slots[live]
        fed = np.zeros(len(self._slots), dtype=np.int64)
        fed[live] = self.completions.latest(rows)
        device = self._model.device
        hidden = self._model.extend(self._cache, torch.from_numpy(fed).to(device).unsqueeze(-1))[:, -1]
        if len(live) < len(self._slots):
            hidden = hidden[torch.from_numpy(live).to(device)]
        steps = torch.from_numpy(self.completions.lengths[rows]).to(device)
        uniforms = self._uniforms[torch.from_numpy(rows).to(device), steps]
        tokens, logprobs = draw(self._model, hidden, self._policy, uniforms)
        self._note(live, tokens.cpu().numpy(), logprobs.cpu().numpy())
        if self._cache.cursor is not None:
            self._cache.used += 1
        self._age += 1

    def _note(
        self, live: NDArray[np.int64], tokens: NDArray[np.int64], logprobs: NDArray[np.float64]
    ) -> None:
        """Write down the next token of each live slot; those that end with it are idle."""
        rows = self._slots[live]
        on = self._noted(rows, tokens, logprobs)
        if len(on) < len(rows):
            self._slots[live] = np.where(np.isin(rows, on), rows, -1)

    def _noted(
        self, rows: NDArray[np.int64], tokens: NDArray[np.int64], logprobs: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        """Rows that go on after these tokens."""
        on: NDArray[np.bool_] = self.completions.record(rows, tokens, logprobs)
        if not on.all():
            self._finished += int((~on).sum())
        return rows[on]


def rows_per_block(counts: Sequence[int]) -> int:
    """The widest block that leaves at most a quarter of the grid idle.

    Args:
        counts: Rows of each prompt, positive.
    """
    each = max(counts)
    while each > 1 and sum(-(-count // each) * each for count in counts) > sum(counts) / (1 - _IDLE_SHARE):
        each -= -(-each // 8)
    return each
