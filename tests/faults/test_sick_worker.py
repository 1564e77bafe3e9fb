"""Test 13 and the probe: a worker at fault takes itself out of service, and no shard is blamed."""

import pytest


def test_a_worker_on_which_everything_dies_retires(stack):
    """Test 13."""
    stack.start_reconciler()
    sick = stack.start_worker("sick", FAULTS_ENGINE="crash")
    stack.injected()
    analysis = stack.submit(prompts=8, prompts_per_shard=2)
    stack.until(lambda: sick.poll() is not None, "the sick worker leaves")
    assert sick.returncode == 0
    assert "3 different shards failed here in a row" in (stack.home / "sick.log").read_text()
    stack.start_worker("well")
    stack.ends(analysis)
    stack.assert_exact(analysis)
    assert not stack.analysis(analysis).partial
    assert stack.retired() == ["3 different shards failed here in a row"]


@pytest.mark.parametrize("answer", ["wrong", "crash"])
def test_a_worker_whose_engine_fails_its_probe_claims_nothing(stack, answer):
    stack.start_reconciler()
    sick = stack.start_worker("sick", FAULTS_PROBE=answer, TILTSCOPE_POLL_SECONDS="0.1")
    stack.injected()
    analysis = stack.submit(prompts=2)
    stack.until(lambda: sick.poll() is not None, "the sick worker leaves")
    assert stack.outcomes() == []
    stack.start_worker("well")
    stack.ends(analysis)
    stack.assert_exact(analysis)
