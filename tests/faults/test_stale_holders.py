"""Tests 8 and 16: a holder that stands still for two leases finds its epoch gone."""

import os
import signal

import pytest
from fault_stack import BOTH


@pytest.mark.parametrize("database", BOTH, indirect=True)
def test_a_paused_worker_commits_nothing_when_it_wakes(stack):
    """Test 8."""
    stack.start_worker("sleeper")
    stack.start_reconciler()
    analysis = stack.submit(seconds=0.2, prompts=2)
    shard = stack.until(stack.running, "a sample shard runs")
    (host,) = stack.host_pids("sleeper")
    # The engine finishes meanwhile, so that a commit is what the sleeper does first.
    os.kill(stack.processes["sleeper"].pid, signal.SIGSTOP)
    stack.injected()
    stack.until(lambda: stack.shards(id=shard.id)[0].lease_until is None, "its lease runs out")
    stack.start_worker("other")
    stack.ends(analysis)
    os.kill(stack.processes["sleeper"].pid, signal.SIGCONT)
    log = stack.home / "sleeper.log"
    stack.until(lambda: '"taken": false' in log.read_text(), "the stale owner is refused")
    stack.assert_exact(analysis)
    os.kill(host, 0)
    assert stack.outcomes().count("lost") == 1


def test_an_interpreter_that_stands_still_for_two_leases(stack):
    """Test 16: no thread of the supervisor runs, nor the one that renews; then it goes on and commits."""
    stack.start_hooked("frozen", "after:run_shard", nth=2, action="gil", seconds=6.0)
    stack.start_reconciler()
    analysis = stack.submit(seconds=0.05, prompts=2)
    stack.until(lambda: "lost" in stack.outcomes(), "its lease runs out")
    stack.injected()
    stack.start_worker("other")
    stack.ends(analysis)
    log = stack.home / "frozen.log"
    stack.until(lambda: '"taken": false' in log.read_text(), "the stale owner is refused")
    stack.assert_exact(analysis)
