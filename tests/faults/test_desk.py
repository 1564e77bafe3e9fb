"""A worker's two engine hosts: whichever dies, one shard is lost with it, and is run again."""

import os
import signal

import pytest

from ledger.states import MODEL_WORKS


def test_each_host_gets_its_own_works(stack):
    stack.start_worker()
    stack.start_reconciler()
    (model,) = stack.until(stack.host_pids, "the model's host runs")
    (desk,) = stack.until(lambda: stack.host_pids(work="plan"), "the desk's host runs")
    assert model != desk
    assert stack.host_pids(work="score") == [model]
    assert stack.host_pids(work="finalise") == stack.host_pids(work="verify") == [desk]


def test_one_host_takes_turns_if_told_so(stack):
    stack.start_worker(TILTSCOPE_DESK="false")
    stack.start_reconciler()
    (host,) = stack.until(stack.host_pids, "the host runs")
    assert stack.host_pids(work="plan") == [host]
    analysis = stack.submit()
    stack.ends(analysis)
    stack.assert_exact(analysis)


@pytest.mark.parametrize("desk", ["true", "false"])
def test_a_second_analysis_is_planned_while_the_first_draws_or_after(stack, desk):
    """A worker that draws goes on listening if its desk is idle; if one host does all, it does not."""
    stack.start_redis()
    stack.start_worker(TILTSCOPE_DESK=desk, TILTSCOPE_POLL_SECONDS="3600")
    stack.start_reconciler()
    first = stack.submit(prompts=2, prompts_per_shard=2, seconds=0.3)
    drawing = stack.until(stack.running, "a sample shard runs")
    second = stack.submit(prompts=2, prompts_per_shard=2)
    stack.until(lambda: stack.shards(analysis_id=second, work="sample"), "the second is planned")
    beside = stack.shards(id=drawing.id)[0].state == "RUNNING"
    assert beside == (desk == "true")
    for analysis in (first, second):
        stack.ends(analysis)
        stack.assert_exact(analysis)


def test_the_two_wake_each_other(stack):
    """Without a broker, and without a look at the ledger after the first."""
    stack.start_reconciler()
    analysis = stack.submit()
    stack.start_worker(TILTSCOPE_POLL_SECONDS="3600")
    stack.ends(analysis)
    stack.assert_exact(analysis)


@pytest.mark.parametrize("work", ["sample", "plan"])
def test_a_host_that_dies_takes_no_shard_of_the_other_along(stack, work):
    stack.start_worker()
    stack.start_reconciler()
    first = stack.submit(seconds=0.2)
    drawing = stack.until(stack.running, "a sample shard runs")
    (victim,) = stack.host_pids(work=work)
    os.kill(victim, signal.SIGKILL)
    stack.injected()
    second = stack.submit()
    for analysis in (first, second):
        stack.ends(analysis)
        stack.assert_exact(analysis)
    (shard,) = stack.shards(id=drawing.id)
    assert shard.crashes == int(shard.work in MODEL_WORKS and work == "sample")
    assert stack.outcomes().count("crashed") == shard.crashes
