"""Test 1: SIGKILL to the supervisor at eight places, from before its claim to after its commit."""

import pytest
from fault_stack import BOTH

PLACES = [
    ("before:claim_next", 1),
    ("after:claim_next", 1),
    ("before:run_message", 2),
    ("before:run_shard", 2),
    ("before:renew", 2),  # in the middle of a batch
    ("after:run_shard", 2),  # the artefact has its name, no row names it
    ("before:commit_and_claim", 2),
    ("after:commit_and_claim", 2),  # the next shard is claimed and nobody runs it
]
"""Where, and at the how-manieth time: the first of everything may be the plan's; at the second a sample was
claimed with the end of the shard before it."""


@pytest.mark.parametrize("database", BOTH, indirect=True)
def test_at_each_of_eight_places(stack):
    stack.start_reconciler()
    # As many sample shards as places and two more, each long enough to be renewed in.
    analysis = stack.submit(prompts=20, prompts_per_shard=2, samples=4, seconds=0.1)
    for number, (place, nth) in enumerate(PLACES):
        worker = stack.start_hooked(f"w{number}", place, nth=nth)
        stack.until(lambda worker=worker: worker.poll() is not None, f"killed {place}")
        assert worker.returncode == -9
        stack.injected()
        del stack.processes[f"w{number}"]
    stack.start_worker("healthy")
    stack.ends(analysis)
    stack.assert_exact(analysis)
    assert not stack.analysis(analysis).partial
    assert stack.outcomes().count("crashed") == 0, "a supervisor's death is no fault of a shard"
    assert 4 <= stack.outcomes().count("lost") <= len(PLACES)
