from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from planted import PlantedRun

from workers.estimators.bootstrap_weights import BootstrapWeights
from workers.pipelines.observations import observe
from workers.pipelines.plan import plan_pilot
from workers.pipelines.prompt_result import PromptResult, estimate_prompt


@pytest.fixture
def results_of() -> Callable[[PlantedRun], list[PromptResult]]:
    """The prompts of a run after its pilot, estimated."""

    def results(run: PlantedRun) -> list[PromptResult]:
        lengths: dict[str, Any] = {stream: [1] * len(run.prompts) for stream in run.spec.streams}
        run.run_round(plan_pilot(run.spec, run.participants, lengths, shard_tokens=1 << 20).shards)
        committed = run.committed(with_samples=False)
        observed = observe(run.spec, committed.outcomes, committed.scores)
        rng = np.random.default_rng(0)
        return [
            estimate_prompt(run.spec, p, BootstrapWeights(rng), missing_scores="not_scored") for p in observed
        ]

    return results
