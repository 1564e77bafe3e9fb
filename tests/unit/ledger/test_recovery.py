import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import update

from ledger.claims import renew
from ledger.clock import now_us
from ledger.crashes import CRASHES_TO_QUARANTINE, MAX_LOSSES
from ledger.database import read, write
from ledger.quarantine import quarantine
from ledger.recovery import (
    close_rounds,
    due_wakeups,
    enforce_deadlines,
    expire_leases,
    release_boot,
    settle_cancelled,
)
from ledger.states import Directive
from ledger.tables import shards
from ledger.workers import WorkerIdentity

OTHER = WorkerIdentity("w2", "boot-2", "host")
FINALISE = [{"idx": 0, "work": "finalise"}]


class TestCloseRounds:
    def test_waits_for_every_shard(self, bench):
        analysis_id = bench.started(bench.sample(0), bench.sample(1))
        assert close_rounds(bench.engine) == 0
        bench.commit(bench.claim())
        second = bench.claim()
        assert close_rounds(bench.engine) == 0
        bench.commit(second)
        assert close_rounds(bench.engine, bench.submit()) == 0
        assert close_rounds(bench.engine, analysis_id) == 1
        assert close_rounds(bench.engine) == 0
        assert [(row.round, row.idx, row.work) for row in bench.shards(analysis_id)][1] == (1, -1, "plan")

    def test_two_reconcilers_insert_one_plan(self, bench):
        for _ in range(8):
            analysis_id = bench.started()
            bench.commit(bench.claim(works={"sample"}))
            start = threading.Barrier(4)

            def close(_, start=start):
                start.wait()
                return close_rounds(bench.engine)

            with ThreadPoolExecutor(4) as pool:
                assert sum(pool.map(close, range(4))) == 1
            plans = [row for row in bench.shards(analysis_id) if (row.round, row.work) == (1, "plan")]
            assert len(plans) == 1

    def test_a_quarantined_shard_ends_its_round_too(self, bench):
        bench.started()
        quarantine(bench.engine, bench.claim(), error={"code": "x", "detail": "y"})
        assert close_rounds(bench.engine) == 1

    def test_nothing_follows_finalising(self, bench):
        bench.submit()
        bench.plan(FINALISE)
        claim = bench.claim()
        assert close_rounds(bench.engine) == 0
        bench.finalise(claim)
        assert close_rounds(bench.engine) == 0


class TestReleaseBoot:
    def test_only_that_process(self, bench):
        analysis_id = bench.started(bench.sample(0), bench.sample(1))
        mine, other = bench.claim(), bench.claim(OTHER)
        assert release_boot(bench.engine, "boot-2") == 1
        assert release_boot(bench.engine, "boot-2") == 0
        assert bench.states(analysis_id) == ["DONE", "RUNNING", "READY"]
        assert renew(bench.engine, other) == Directive.LOST
        assert renew(bench.engine, mine) == Directive.CONTINUE


class TestLosses:
    def lose(self, bench, shard_id):
        """Claim the shard, and let its lease run out as a dead machine would."""
        claim = bench.claim()
        assert claim.shard["id"] == shard_id
        bench.age_leases()
        assert expire_leases(bench.engine) == 1

    def test_ten_count_for_nothing_and_then_each_is_a_crash(self, bench):
        """What kills its supervisor's machine each time must not be tried for ever."""
        analysis_id = bench.started(bench.sample(0, prompts=(3,)))
        shard_id = bench.shards(analysis_id)[1].id
        for _ in range(MAX_LOSSES):
            self.lose(bench, shard_id)
        assert (bench.shard(shard_id).state, bench.shard(shard_id).crashes) == ("READY", 0)
        for _ in range(CRASHES_TO_QUARANTINE):
            self.lose(bench, shard_id)
        given_up = bench.shard(shard_id)
        assert (given_up.state, given_up.error["code"]) == ("QUARANTINED", "engine_crashed")
        assert [error["prompt_id"] for error in bench.analysis(analysis_id).errors] == ["p3"]


class TestDeadlines:
    def test_before_the_pilot_is_done(self, bench):
        analysis_id = bench.started(deadline_seconds=60)
        assert enforce_deadlines(bench.engine) == 0
        bench.set_analysis(analysis_id, deadline_at=1)
        assert enforce_deadlines(bench.engine) == 1
        assert enforce_deadlines(bench.engine) == 0
        row = bench.analysis(analysis_id)
        assert (row.status, row.partial) == ("expired", False)
        assert row.warnings[0]["code"] == "deadline_reached"
        assert bench.states(analysis_id) == ["DONE", "EXPIRED"]

    def test_four_reconcilers_tell_each_once(self, bench):
        overdue = [bench.submit(deadline_seconds=0) for _ in range(5)]
        start = threading.Barrier(4)

        def enforce(_):
            start.wait()
            return enforce_deadlines(bench.engine)

        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(enforce, range(4))) == 5
        for analysis_id in overdue:
            assert bench.event_types(analysis_id) == ["status", "warning", "status", "done"]

    def test_never_started(self, bench):
        analysis_id = bench.submit(deadline_seconds=0)
        assert enforce_deadlines(bench.engine) == 1
        assert bench.analysis(analysis_id).status == "expired"

    def test_with_a_finished_pilot_there_is_a_partial_result(self, bench):
        analysis_id = bench.started()
        bench.commit(bench.claim())
        close_rounds(bench.engine)
        bench.plan([bench.sample(0), bench.sample(1)])
        running = bench.claim()
        bench.set_analysis(analysis_id, deadline_at=1)
        assert enforce_deadlines(bench.engine) == 1
        assert renew(bench.engine, running) == Directive.ABORT
        assert settle_cancelled(bench.engine) == 0
        bench.age_leases()
        assert expire_leases(bench.engine) == 1
        assert [row.state for row in bench.shards(analysis_id)][-3:] == ["EXPIRED", "EXPIRED", "READY"]
        assert settle_cancelled(bench.engine) == 0
        final = bench.claim()
        assert (final.shard["work"], final.analysis["finish_as"]) == ("finalise", "expired")
        assert renew(bench.engine, final) == Directive.CONTINUE
        bench.finalise(final)
        row = bench.analysis(analysis_id)
        assert (row.status, row.partial) == ("expired", True)

    def test_finalising_may_outlast_it(self, bench):
        analysis_id = bench.submit(deadline_seconds=60)
        bench.plan(FINALISE)
        bench.set_analysis(analysis_id, deadline_at=1)
        assert enforce_deadlines(bench.engine) == 0
        bench.finalise(bench.claim())
        assert bench.analysis(analysis_id).status == "succeeded"

    def test_a_cancel_after_it_does_not_change_the_ending(self, bench):
        analysis_id = bench.started()
        claim = bench.claim()
        bench.set_analysis(analysis_id, deadline_at=1)
        enforce_deadlines(bench.engine)
        assert bench.cancel(analysis_id).status == "running"
        bench.commit(claim)
        bench.finalise(bench.claim())
        assert bench.analysis(analysis_id).status == "expired"


class TestSettleCancelled:
    def test_after_a_lost_holder(self, bench):
        analysis_id = bench.started()
        bench.claim()
        bench.cancel(analysis_id)
        assert settle_cancelled(bench.engine) == 0
        bench.age_leases()
        expire_leases(bench.engine)
        assert bench.analysis(analysis_id).status == "cancelled"

    def test_two_reconcilers_insert_one_finalise_shard(self, bench):
        analysis_id = bench.started()
        bench.commit(bench.claim())
        # As if the canceller had died between telling the analysis and settling it.
        bench.set_analysis(analysis_id, status="cancelling", finish_as="cancelled")
        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(settle_cancelled, [bench.engine] * 4)) == 1
        assert [row.work for row in bench.shards(analysis_id)].count("finalise") == 1


class TestDueWakeups:
    def test_each_claimable_shard_once_in_a_while(self, bench):
        first = bench.sample(0)
        bench.started(first, bench.follow(1, "verify", first), bench.sample(2), bench.sample(3))
        assert due_wakeups(bench.engine, 2) == 2
        assert due_wakeups(bench.engine, 9) == 1
        assert due_wakeups(bench.engine, 9) == 0
        with write(bench.engine) as conn:
            conn.execute(update(shards).values(dispatched_at=now_us(conn) - 31_000_000))
        assert due_wakeups(bench.engine, 9) == 3


@pytest.mark.parametrize("verb", [close_rounds, enforce_deadlines, expire_leases, settle_cancelled])
def test_an_empty_ledger_needs_nothing(bench, verb):
    assert verb(bench.engine) == 0


def test_the_clock_is_the_databases_and_runs(bench):
    with read(bench.engine) as conn:
        times = [now_us(conn) for _ in range(50)]
    assert times == sorted(times)
    assert 1_700_000_000_000_000 < times[0] < 4_000_000_000_000_000
