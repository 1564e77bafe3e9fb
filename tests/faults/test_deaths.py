"""Tests 2, 12, 15, 25 and more: whatever dies, every planned row is counted once, as if nothing had."""

import os
import signal

import psutil


def test_wakeups_alone_drive_an_analysis(stack):
    stack.start_redis()
    stack.start_worker(TILTSCOPE_POLL_SECONDS="3600")
    stack.start_reconciler()
    analysis = stack.submit()
    stack.ends(analysis)
    stack.assert_exact(analysis)
    assert set(stack.outcomes()) == {"done"}


def test_polling_suffices_without_redis_from_the_start(stack):
    stack.start_worker()
    stack.start_reconciler()
    analysis = stack.submit()
    stack.ends(analysis)
    stack.assert_exact(analysis)


def test_redis_killed_and_started_anew(stack):
    stack.start_redis()
    stack.start_worker(TILTSCOPE_POLL_SECONDS="1")
    stack.start_reconciler()
    first = stack.submit(seconds=0.1)
    stack.until(stack.running, "a sample shard runs")
    stack.kill("redis")
    stack.injected()
    second = stack.submit()
    stack.ends(first)
    stack.ends(second)
    stack.start_redis()
    third = stack.submit()
    stack.ends(third)
    for analysis in (first, second, third):
        stack.assert_exact(analysis)


def test_a_killed_engine_counts_a_crash_and_its_shard_runs_again(stack):
    stack.start_worker()
    stack.start_reconciler()
    analysis = stack.submit(seconds=0.2)
    shard = stack.until(stack.running, "a sample shard runs")
    (host,) = stack.host_pids()
    os.kill(host, signal.SIGKILL)
    stack.injected()
    stack.ends(analysis)
    stack.assert_exact(analysis)
    (again,) = stack.shards(id=shard.id)
    assert again.crashes == 1
    assert again.epoch == 2
    assert stack.outcomes().count("crashed") == 1


def test_a_killed_worker_counts_no_crash_and_takes_its_engine_along(stack):
    stack.start_worker()
    stack.start_reconciler()
    analysis = stack.submit(seconds=0.2)
    shard = stack.until(stack.running, "a sample shard runs")
    hosts = [*stack.host_pids(work="sample"), *stack.host_pids(work="plan")]
    assert len(hosts) == 2
    stack.kill("worker")
    stack.injected()
    stack.until(lambda: not any(map(psutil.pid_exists, hosts)), "the engine dies with its supervisor")
    stack.start_worker()
    stack.ends(analysis)
    stack.assert_exact(analysis)
    (again,) = stack.shards(id=shard.id)
    assert again.crashes == 0
    assert "lost" in stack.outcomes()


def test_a_killed_workers_leases_are_freed_by_its_boot_id(stack):
    stack.start_worker(TILTSCOPE_BOOT_ID="first", TILTSCOPE_LEASE_SECONDS="3600")
    stack.start_reconciler()
    analysis = stack.submit(seconds=0.2)
    shard = stack.until(stack.running, "a sample shard runs")
    assert shard.boot_id == "first"
    stack.kill("worker")
    stack.injected()
    program = [stack.processes["reconciler"].args[0], "-m", "workers.reconciler.release"]
    assert stack.start("other", [*program, "another"]).wait() == 0
    assert stack.shards(id=shard.id)[0].state == "RUNNING"
    assert stack.start("release", [*program, "first"]).wait() == 0
    assert stack.shards(id=shard.id)[0].state == "READY"
    stack.start_worker(TILTSCOPE_BOOT_ID="second")
    stack.ends(analysis)
    stack.assert_exact(analysis)


def test_cancelling_stops_a_running_shard(stack):
    stack.start_worker()
    stack.start_reconciler()
    analysis = stack.submit(seconds=0.2, samples=1000)
    stack.until(stack.running, "a sample shard runs")
    hosts = stack.host_pids()
    stack.cancel(analysis)
    assert stack.ends(analysis).status == "cancelled"
    assert {s.state for s in stack.shards(analysis_id=analysis)} <= {"DONE", "CANCELLED"}
    after = stack.submit()
    stack.ends(after)
    stack.assert_exact(after)
    assert stack.host_pids() == hosts, "an engine that stops when asked lives on"


def test_an_engine_that_does_not_stop_is_killed_without_a_crash(stack):
    stack.start_worker()
    stack.start_reconciler()
    analysis = stack.submit(prompts=2, faults={"0": "deaf"})
    stack.until(stack.running, "a sample shard runs")
    hosts = stack.host_pids()
    stack.cancel(analysis)
    assert stack.ends(analysis).status == "cancelled"
    assert [s.crashes for s in stack.shards(analysis_id=analysis)] == [0, 0]
    after = stack.submit()
    stack.ends(after)
    stack.assert_exact(after)
    assert stack.host_pids() != hosts


def test_a_hanging_engine_is_killed_and_its_shard_given_up(stack):
    stack.start_worker(TILTSCOPE_PROGRESS_LIMIT_SECONDS="0.5")
    stack.start_reconciler()
    analysis = stack.submit(prompts_per_shard=1, faults={"1": "hang"})
    row = stack.ends(analysis)
    assert row.partial
    stack.assert_exact(analysis, without=frozenset({1}))
    (given_up,) = stack.shards(state="QUARANTINED")
    assert given_up.error["code"] == "engine_stalled"
    assert given_up.crashes == 0


def test_the_item_that_kills_engines_is_isolated(stack):
    stack.start_worker()
    stack.start_reconciler()
    analysis = stack.submit(prompts=8, prompts_per_shard=8, faults={"5": "crash"})
    row = stack.ends(analysis)
    assert row.partial
    assert [error["code"] for error in row.errors] == ["engine_crashed"]
    stack.assert_exact(analysis, without=frozenset({5}))


def test_what_can_never_succeed_fails_the_analysis_with_a_pointer(stack):
    stack.start_worker()
    stack.start_reconciler()
    analysis = stack.submit(faults={"0": "refuse"})
    row = stack.ends(analysis)
    assert row.status == "failed"
    assert row.error["code"] == "unrenderable_prompt"
    assert row.error["errors"] == [{"detail": "no chat template", "pointer": "/prompts/inline/0"}]


def test_an_exception_is_retried_and_its_message_stays_out_of_the_ledger(stack):
    stack.start_worker()
    stack.start_reconciler()
    analysis = stack.submit(prompts=1, faults={"0": "fail"})
    shard = stack.until(lambda: [s for s in stack.shards(work="sample") if s.failures], "a failure")[0]
    assert shard.error == {"code": "internal_error", "detail": "RuntimeError"}
    stack.cancel(analysis)
    stack.ends(analysis)
    assert "a secret prompt" not in stack.logs()


def test_sigterm_gives_the_shard_back_without_penalty(stack):
    worker = stack.start_worker()
    stack.start_reconciler()
    analysis = stack.submit(seconds=0.2)
    shard = stack.until(stack.running, "a sample shard runs")
    hosts = stack.host_pids()
    worker.terminate()
    assert worker.wait(60) == 0
    assert not any(map(psutil.pid_exists, hosts))
    (waiting,) = stack.shards(id=shard.id)
    assert (waiting.state, waiting.crashes, waiting.failures) == ("READY", 0, 0)
    assert stack.outcomes()[-1] == "released"
    stack.start_worker()
    stack.ends(analysis)
    stack.assert_exact(analysis)


def test_sigterm_ends_an_idle_worker_with_redis(stack):
    stack.start_redis()
    worker = stack.start_worker()
    stack.until(lambda: "ready." in stack.logs(), "celery listens")
    hosts = stack.until(stack.host_pids, "the engine is warm before there is work")
    worker.terminate()
    assert worker.wait(60) == 0
    assert not any(map(psutil.pid_exists, hosts))


def test_two_workers_and_two_reconcilers_share_the_work(stack):
    stack.start_redis()
    for name in ("one", "two"):
        stack.start_worker(name)
        stack.start_reconciler(f"reconciler-{name}")
    started = [stack.submit(seconds=0.05, prompts=12) for _ in range(2)]
    stack.until(lambda: len({s.owner for s in stack.shards(work="sample") if s.owner}) == 2, "both work")
    for analysis in started:
        stack.ends(analysis)
        stack.assert_exact(analysis)
