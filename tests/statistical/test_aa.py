"""The shipped base against itself: whatever the seed, nothing was gained, so nothing may be called gained."""

from pathlib import Path

import pytest
from local_run import LocalRun, request

from tiltscope.requests import read_prompts

EXAMPLES = Path(__file__).parents[2] / "examples"
RUNS = 50
MOST_FALSE = 1
"""A verdict needs a sign-flip p below 0.001, so that 50 runs call one false with probability 0.05 at most."""


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_model_against_itself_is_inconclusive() -> None:
    prompts = read_prompts(EXAMPLES / "prompts" / "basin_tail.jsonl")
    base = EXAMPLES / "models" / "tiny-base"
    labels: list[str | None] = []
    for seed in range(RUNS):
        spec = request(prompts, seed=seed)
        run = LocalRun(spec, {"reference": base, "candidate": base}, batch_size=512, shard_tokens=50_000)
        found = run.run()
        labels.append(found.verdict)
        assert found.document["free_energy"]["kl"]["value"] == 0.0
        assert {row["kl"]["value"] for row in found.rows} == {0.0}
    assert len(labels) == RUNS
    assert sum(label != "inconclusive" for label in labels) <= MOST_FALSE, labels
