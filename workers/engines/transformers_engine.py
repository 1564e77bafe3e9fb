"""The engine that pipelines hold: one loaded model that samples."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from workers.engines.causal_model import CausalModel
from workers.engines.completions import SampleBatch
from workers.engines.decoding import sample_completions
from workers.engines.policy import Policy


class TransformersEngine(CausalModel):
    """A causal model, loaded by `loading.load_engine`, that draws completions."""

    def sample(
        self,
        prompt_ids: Sequence[int],
        uniforms: NDArray[np.float64],
        policy: Policy,
        batch_size: int = 64,
        should_stop: Callable[[], bool] | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> SampleBatch:
        """Draw one completion per row of uniforms; see `decoding.sample_completions`."""
        return sample_completions(self, prompt_ids, uniforms, policy, batch_size, should_stop, on_progress)
