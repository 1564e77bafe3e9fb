"""Test 1: SIGKILL to the supervisor at eight places, from before its claim to after its commit."""

import pytest
from fault_stack import BOTH

PLACES = [
    "before:claim_next",
    "after:claim_next",
    "before:run_message",
    "before:run_shard",
    "before:renew",  # in the middle of a batch
    "after:run_shard",  # the artefact has its name, no row names it
    "before:commit",
    "after:commit",  # the next round is not opened yet
]


@pytest.mark.parametrize("database", BOTH, indirect=True)
def test_at_each_of_eight_places(stack):
    stack.start_reconciler()
    # As many sample shards as places and two more, each long enough to be renewed in.
    analysis = stack.submit(prompts=20, prompts_per_shard=2, samples=4, seconds=0.1)
    for number, place in enumerate(PLACES):
        # The first of everything was the plan's; later workers meet samples only.
        worker = stack.start_hooked(f"w{number}", place, nth=2)
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
