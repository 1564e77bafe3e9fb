"""Test 3: a minute of random SIGKILL, SIGSTOP and dead Redis, and then the books are read."""

import random
import signal
import time

import pytest
from fault_stack import BOTH, Stack

WORKERS = [f"w{number}" for number in range(4)]
SECONDS = 60.0
BETWEEN = 1.5


def one_fault(stack, chance):
    """Do one thing; whatever it killed is started again, as an operator's supervisor would."""
    kind = chance.choice(["kill worker", "pause worker", "kill engine", "kill redis", "kill reconciler"])
    victim = chance.choice(WORKERS)
    if kind == "pause worker":
        process = stack.processes[victim]
        process.send_signal(signal.SIGSTOP)
        stack.later(chance.uniform(2.6, 4.0), lambda: process.send_signal(signal.SIGCONT))
    elif kind == "kill worker":
        stack.kill(victim)
        stack.start_worker(victim)
    elif kind == "kill engine":
        hosts = [*stack.host_pids(victim, "sample"), *stack.host_pids(victim, "plan")]
        if not hosts:
            return
        stack.kill_pid(chance.choice(hosts))
    elif kind == "kill redis":
        stack.kill("redis")
        stack.start_redis()
    else:
        stack.kill("reconciler-0")
        stack.start_reconciler("reconciler-0")
    stack.injected()


SHAPE = {"prompts": 70, "prompts_per_shard": 1, "samples": 10}


@pytest.fixture(scope="session")
def calm(tmp_path_factory):
    """The result's bytes of the same analysis where nothing happens: one worker, other timing."""
    stack = Stack(tmp_path_factory.mktemp("calm"))
    try:
        stack.start_redis()
        stack.start_reconciler()
        stack.start_worker()
        analysis = stack.submit(**SHAPE, seconds=0.0)
        stack.ends(analysis)
        return stack.result(analysis)
    finally:
        stack.stop()


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("database", BOTH, indirect=True)
def test_a_minute_of_random_faults(stack, calm, seed):
    chance = random.Random(seed)
    stack.patience = 600.0
    stack.start_redis()
    for number in range(2):
        stack.start_reconciler(f"reconciler-{number}")
    for name in WORKERS:
        stack.start_worker(name)
    analysis = stack.submit(**SHAPE, seconds=0.2)
    stack.until(stack.running, "work is under way")
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        one_fault(stack, chance)
        stack.resume_due()
        time.sleep(BETWEEN)
    stack.resume_all()
    stack.ends(analysis)
    stack.assert_exact(analysis)
    assert stack.result(analysis) == calm
    assert not stack.analysis(analysis).partial
