"""The reconciler as it is started: alone, twice, without Redis, and told to go."""

import shutil

from sqlalchemy import text

from ledger.database import write


def test_it_registers_models_and_leaves_on_sigterm(stack):
    reconciler = stack.start_reconciler()
    stack.until(stack.registered, "the model is registered")
    shutil.rmtree(stack.home / "models" / "tiny")
    stack.until(lambda: not stack.registered(), "the removed model is marked missing")
    reconciler.terminate()
    assert reconciler.wait(60) == 0


def test_a_hanging_redis_does_not_hold_up_recovery(stack):
    stack.start_redis()
    stack.start_reconciler()
    worker = stack.start_worker()
    analysis = stack.submit(seconds=0.2)
    shard = stack.until(stack.running, "a sample shard runs")
    stack.processes["redis"].send_signal(19)  # SIGSTOP: connections are taken and never answered
    worker.kill()
    stack.injected()
    worker.wait()
    stack.until(lambda: stack.shards(id=shard.id)[0].state == "READY", "the lease runs out")
    stack.start_worker("other")
    stack.ends(analysis)
    stack.assert_exact(analysis)


def test_a_deadline_ends_an_analysis_without_workers(stack):
    stack.start_reconciler()
    analysis = stack.submit()
    with write(stack.engine) as conn:
        conn.execute(text("update analyses set deadline_at = created_at"))
    assert stack.ends(analysis).status == "expired"


def test_one_of_two_may_die(stack):
    stack.start_reconciler("first")
    stack.start_reconciler("second")
    stack.start_worker()
    analysis = stack.submit(seconds=0.1)
    stack.until(stack.running, "a sample shard runs")
    stack.kill("first")
    stack.injected()
    stack.ends(analysis)
    stack.assert_exact(analysis)
    plans = [(s.analysis_id, s.round) for s in stack.shards(work="plan")]
    assert len(plans) == len(set(plans)) == 2
