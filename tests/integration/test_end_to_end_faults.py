"""kill -9 and cancelling while a real engine works: the findings stay the same, or are called partial."""

import random
import time

import psutil
import pytest
from agreement import differences, draws
from embedded_stack import EmbeddedStack, Findings
from kills import kill_while_running

from api_schemas.results import ResultDocument

SIDES = ("reference", "candidate")


def assert_unharmed(stack: EmbeddedStack, analysis_id: str, undisturbed: Findings) -> None:
    """Sample for sample and digit for digit what it would have been, every epoch accounted for."""
    found = stack.findings(analysis_id)
    assert draws(found.samples) == draws(undisturbed.samples)
    assert differences(found.document, undisturbed.document, 0.0) == []
    assert found.rows == undisturbed.rows
    assert not stack.analysis(analysis_id)["partial"]
    tries = stack.attempts(analysis_id)
    for shard in stack.shards(analysis_id):
        mine = [attempt for attempt in tries if attempt.shard_id == shard.id]
        assert shard.state == "DONE"
        assert [attempt.epoch for attempt in mine] == list(range(1, shard.epoch + 1))
        assert [attempt.epoch for attempt in mine if attempt.outcome == "done"] == [shard.epoch]


def pause_a_holder(stack: EmbeddedStack, analysis_id: str) -> psutil.Process:
    """SIGSTOP a worker that holds a sample shard, and see that it still holds it."""
    while True:
        shard = stack.until(lambda: stack.running(analysis_id, "sample", 1), "a sample shard runs")
        tries = [attempt for attempt in stack.attempts(analysis_id) if attempt.shard_id == shard.id]
        [holder] = [attempt for attempt in tries if attempt.epoch == shard.epoch]
        worker = psutil.Process(int(holder.worker_id.rpartition("-")[2]))
        worker.suspend()
        time.sleep(0.5)  # for a commit that was on its way
        [now] = stack.shards(analysis_id, id=shard.id)
        if (now.state, now.epoch) == ("RUNNING", shard.epoch):
            return worker
        worker.resume()


class TestKilledEngine:
    @pytest.mark.parametrize(("work", "progress"), [("sample", 1), ("score", 0)])
    def test_its_shard_runs_again_and_nothing_changes(self, stack, comparison, undisturbed, work, progress):
        analysis_id = stack.submit(comparison)
        stack.until(lambda: stack.running(analysis_id, work), "work begins")
        engine = stack.engine()
        shard_id = kill_while_running(stack, analysis_id, engine, work, progress)
        assert_unharmed(stack, analysis_id, undisturbed)
        [crashed] = [a for a in stack.attempts(analysis_id) if a.outcome != "done"]
        assert (crashed.shard_id, crashed.outcome, crashed.detail) == (
            shard_id,
            "crashed",
            "killed by SIGKILL",
        )
        [shard] = stack.shards(analysis_id, id=shard_id)
        assert (shard.crashes, shard.epoch) == (1, 2)
        assert stack.engine().pid != engine.pid


class TestKilledWorker:
    def test_it_is_restarted_and_its_lease_freed_without_blame(self, stack, comparison, undisturbed):
        analysis_id = stack.submit(comparison)
        stack.until(lambda: stack.running(analysis_id, "sample"), "work begins")
        worker, engine = stack.part("worker-1"), stack.engine()
        shard_id = kill_while_running(stack, analysis_id, worker, "sample", 1)
        stack.until(lambda: not _lives(engine), "the engine dies with its supervisor")
        assert_unharmed(stack, analysis_id, undisturbed)
        [lost] = [a for a in stack.attempts(analysis_id) if a.outcome != "done"]
        assert (lost.shard_id, lost.outcome) == (shard_id, "lost")
        # By its boot id, if the machine starts the next worker within the lease; whichever it was, no crash.
        assert lost.detail in ("its process died", "the lease ran out")
        [shard] = stack.shards(analysis_id, id=shard_id)
        assert (shard.crashes, shard.epoch) == (0, 2)
        assert stack.part("worker-1").pid != worker.pid


class TestPausedWorker:
    def test_what_it_brings_when_it_wakes_comes_too_late(self, start_stack, comparison, undisturbed):
        stack = start_stack(workers=2, TILTSCOPE_LEASE_SECONDS="2")
        try:
            analysis_id = stack.submit(comparison)
            paused = pause_a_holder(stack, analysis_id)
            stack.until(lambda: _lost(stack, analysis_id), "its lease is over")
            stack.ended(analysis_id)
            paused.resume()
            assert_unharmed(stack, analysis_id, undisturbed)
        finally:
            stack.stop()


@pytest.mark.slow
class TestHalfAMinuteOfKills:
    @pytest.mark.parametrize("seed", range(2))
    def test_the_findings_are_those_of_a_calm_run(self, start_stack, comparison, undisturbed, seed):
        stack, chance = start_stack(workers=2), random.Random(seed)
        try:
            analysis_id = stack.submit(comparison)
            end = time.monotonic() + 30
            while time.monotonic() < end:
                # Farther apart than what counts as dying at once: then the launcher would give up.
                pause = time.monotonic() + chance.uniform(3, 5)
                stack.until(lambda pause=pause: time.monotonic() > pause, "a pause")
                kind = chance.choice(["engine", "worker-1", "worker-2", "reconciler", "broker", "gateway"])
                victim = stack.engine() if kind == "engine" else stack.part(kind)
                victim.kill()
            stack.until(stack.is_ready, "the gateway is back")
            assert_unharmed(stack, analysis_id, undisturbed)
        finally:
            stack.stop()


class TestKilledBroker:
    def test_it_comes_back_and_the_worker_listens_again(self, stack, comparison, undisturbed):
        analysis_id = stack.submit(comparison)
        stack.until(lambda: stack.running(analysis_id, "sample"), "work begins")
        broker = stack.part("broker")
        broker.kill()
        stack.until(lambda: not _lives(broker), "the broker is gone")
        assert_unharmed(stack, analysis_id, undisturbed)
        assert stack.part("broker").pid != broker.pid
        assert {attempt.outcome for attempt in stack.attempts(analysis_id)} == {"done"}
        with stack.broker() as redis:
            stack.until(lambda: redis.info()["blocked_clients"] >= 1, "the worker waits for messages again")
        ready = stack.get("/readyz")
        assert ready["checks"]["redis"] == "ok"


class TestKilledGatewayAndReconciler:
    def test_both_come_back_and_the_analysis_ends(self, stack, comparison, undisturbed):
        analysis_id = stack.submit(comparison)
        stack.until(lambda: stack.running(analysis_id, "sample"), "work begins")
        killed = {name: stack.part(name) for name in ("gateway", "reconciler")}
        for process in killed.values():
            process.kill()
        stack.until(lambda: not any(map(_lives, killed.values())), "both are gone")
        stack.until(lambda: stack.is_ready(), "the gateway is back")
        assert_unharmed(stack, analysis_id, undisturbed)
        assert all(stack.part(name).pid != process.pid for name, process in killed.items())


def _lost(stack: EmbeddedStack, analysis_id: str) -> bool:
    return "lost" in {attempt.outcome for attempt in stack.attempts(analysis_id)}


def _lives(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


class TestCancelling:
    def test_in_the_pilot_nothing_is_left_to_report(self, stack, comparison):
        budget = comparison["budget"] | {"samples_per_prompt": 3000, "max_samples_per_prompt": 3000}
        analysis_id = stack.submit({**comparison, "budget": budget})
        stack.until(lambda: stack.running(analysis_id, "sample", progress=1), "the pilot is under way")
        first = stack.client.post(f"/v1/analyses/{analysis_id}/cancel")
        again = stack.client.post(f"/v1/analyses/{analysis_id}/cancel")
        assert (first.status_code, again.status_code) == (202, 202)
        assert first.json()["status"] in {"cancelling", "cancelled"}
        ended = stack.ended(analysis_id)
        assert ended["status"] == "cancelled"
        assert stack.client.get(f"/v1/analyses/{analysis_id}/result").json()["code"] == "no_result"
        states = {shard.state for shard in stack.shards(analysis_id)}
        assert states <= {"DONE", "CANCELLED"}
        assert "CANCELLED" in states

    def test_after_the_pilot_a_partial_result_stays(self, stack, comparison, prompts):
        pilot = 16
        budget = {"k_use": 4, "k_probe": 2048, "samples_per_prompt": pilot, "max_samples_per_prompt": 100_000}
        creation = {
            **comparison,
            "candidate": {"source": "model", "model": "tiny-new"},
            "prompts": {"inline": prompts("new_rule", 0, 6)},
            "budget": budget,
        }
        analysis_id = stack.submit(creation)

        def is_topping_up() -> bool:
            shard = stack.running(analysis_id, "sample")
            return shard is not None and shard.round >= 4

        stack.until(is_topping_up, "a later round is under way")
        assert stack.client.post(f"/v1/analyses/{analysis_id}/cancel").status_code == 202
        ended = stack.ended(analysis_id)
        assert (ended["status"], ended["partial"]) == ("cancelled", True)
        document = ResultDocument.model_validate(stack.result(analysis_id))
        assert document.partial
        rows = stack.rows(analysis_id)
        assert len(rows) == 6
        samples = stack.table(analysis_id, "samples.parquet")
        assert len(samples) == ended["usage"]["samples"]
        # What was drawn but not judged any more is kept, and counts nowhere.
        judged = len(samples) - samples["outcome"].null_count
        assert judged == sum(row[side]["samples"] for row in rows for side in SIDES)
        assert judged >= 6 * 2 * pilot
        assert stack.client.get(f"/v1/analyses/{analysis_id}/report").status_code == 200
