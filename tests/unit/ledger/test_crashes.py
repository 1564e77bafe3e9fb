from math import ceil, log2

import pytest

from ledger.crashes import MAX_CRASHES, record_crash
from ledger.recovery import close_rounds, expire_leases, release_boot
from ledger.workers import WorkerIdentity


def crash(bench, claim):
    return record_crash(bench.engine, claim, detail="signal 11")


def crash_until_quarantined(bench, shard_id, limit=20):
    """Crash one shard whenever it is claimed, commit every other; how many crashes it took."""
    for crashes in range(limit):
        if bench.shard(shard_id).state == "QUARANTINED":
            return crashes
        while (claim := bench.claim()).shard["id"] != shard_id:
            assert bench.commit(claim)
        assert crash(bench, claim)
    return limit


class TestSplit:
    def test_second_crash_halves_the_items_and_the_dependants(self, bench):
        whole = bench.sample(0, prompts=(0, 1, 2), model_keys=["m"])
        analysis_id = bench.started(
            whole,
            bench.follow(1, "verify", whole),
            bench.follow(2, "score", whole) | {"scorer": "candidate", "planned_rows": 24},
            bench.sample(3, prompts=(5,)),
        )
        for crashes in (1, 2):
            claim = bench.claim(resident={"m"}, works={"sample"})
            if claim.shard["idx"] == 3:
                bench.commit(claim)
                claim = bench.claim()
            assert claim.shard["idx"] == 0
            assert crash(bench, claim)
            assert bench.shard(claim.shard["id"]).crashes == crashes
        rows = {row.idx: row for row in bench.shards(analysis_id) if row.round == 1}
        assert [rows[i].state for i in (0, 1, 2)] == ["SPLIT"] * 3
        # 3 items: one and two. Indexes go on behind the round's last, 3.
        assert rows[4].items == [[0, 0, 4]]
        assert rows[5].items == [[1, 0, 4], [2, 0, 4]]
        assert (rows[4].planned_rows, rows[5].planned_rows) == (4, 8)
        halves = {(rows[i].work, rows[i].depends_on): rows[i] for i in range(6, 10)}
        for half in (rows[4], rows[5]):
            for work in ("verify", "score"):
                assert halves[work, half.id].items == half.items
                assert (halves[work, half.id].state, halves[work, half.id].crashes) == ("READY", 0)
            assert halves["score", half.id].scorer == "candidate"
            assert halves["score", half.id].planned_rows == 8 * len(half.items)
            assert (half.model_keys, half.stream) == (["m"], "reference")

    def test_the_round_ends_once_the_halves_are_done(self, bench):
        whole = bench.sample(0)
        analysis_id = bench.started(whole, bench.follow(1, "verify", whole))
        crash(bench, bench.claim())
        crash(bench, bench.claim())
        while (claim := bench.claim()).shard["work"] == "sample":
            bench.commit(claim)
        bench.commit(claim)
        assert close_rounds(bench.engine) == 0
        bench.commit(bench.claim())
        assert close_rounds(bench.engine) == 1
        assert sorted(bench.states(analysis_id)) == ["DONE"] * 5 + ["READY"] + ["SPLIT"] * 2

    def test_a_score_shard_splits_over_the_same_samples(self, bench):
        whole = bench.sample(0)
        analysis_id = bench.started(whole, bench.follow(1, "score", whole))
        bench.commit(bench.claim())
        crash(bench, bench.claim())
        crash(bench, bench.claim())
        plan, source, _, left, right = bench.shards(analysis_id)[:5]
        assert plan.state == source.state == "DONE"
        assert [left.depends_on, right.depends_on] == [source.id] * 2
        assert left.items + right.items == source.items

    @pytest.mark.parametrize("size", [2, 5, 8])
    def test_finds_the_item_that_kills_the_engine(self, bench, size):
        """At most 2 crashes on each halving and 3 alone."""
        whole = bench.sample(0, prompts=range(size))
        analysis_id = bench.started(whole, bench.follow(1, "verify", whole))
        crashes = 0
        while any(row.state == "READY" for row in bench.shards(analysis_id)):
            claim = bench.claim()
            if claim.shard["work"] == "sample" and [1, 0, 4] in claim.shard["items"]:
                crash(bench, claim)
                crashes += 1
            else:
                bench.commit(claim)
        rows = [row for row in bench.shards(analysis_id) if row.round == 1]
        done = [item[0] for row in rows if (row.work, row.state) == ("sample", "DONE") for item in row.items]
        assert sorted(done) == [i for i in range(size) if i != 1]
        given_up = {(row.work, str(row.items)) for row in rows if row.state == "QUARANTINED"}
        assert given_up == {("sample", "[[1, 0, 4]]"), ("verify", "[[1, 0, 4]]")}
        assert crashes <= 2 * ceil(log2(size)) + 3
        assert bench.analysis(analysis_id).errors == [
            {"prompt_id": "p1", "code": "engine_crashed", "detail": "signal 11"}
        ]
        assert close_rounds(bench.engine) == 1


class TestLoneItem:
    def test_third_crash_with_a_success_in_between(self, bench):
        analysis_id = bench.started(bench.sample(0, prompts=(0,)), bench.sample(1, prompts=(1,)))
        shard_id = bench.shards(analysis_id)[1].id
        assert crash_until_quarantined(bench, shard_id) == 3
        assert [a.outcome for a in bench.attempts(shard_id)] == ["crashed"] * 3

    def test_third_crash_with_nothing_else_left(self, bench):
        analysis_id = bench.started(bench.sample(0, prompts=(0,)))
        for _ in range(3):
            crash(bench, bench.claim())
        assert bench.states(analysis_id)[1] == "QUARANTINED"

    def test_two_that_crash_do_not_wait_for_each_other(self, bench):
        analysis_id = bench.started(bench.sample(0, prompts=(0,)), bench.sample(1, prompts=(1,)))
        for _ in range(6):
            crash(bench, bench.claim())
        assert bench.states(analysis_id) == ["DONE", "QUARANTINED", "QUARANTINED"]

    def test_a_sick_engine_quarantines_nothing_while_witnesses_wait(self, bench):
        """A success is wanted; without one the shard waits, up to a last bound."""
        bench.started(bench.sample(0, prompts=(0,)), bench.sample(1, prompts=(1,)))
        # The witness runs all the while, so nobody knows yet whether engines work.
        bench.claim(WorkerIdentity("w2", "boot-2", "host"))
        claim = bench.claim()
        target = claim.shard["id"]
        for crashes in range(1, MAX_CRASHES):
            crash(bench, claim)
            assert (bench.shard(target).state, bench.shard(target).crashes) == ("READY", crashes)
            claim = bench.claim()
        crash(bench, claim)
        assert bench.shard(target).state == "QUARANTINED"

    def test_a_crashing_plan_fails_the_analysis(self, bench):
        analysis_id = bench.submit()
        for _ in range(3):
            crash(bench, bench.claim())
        row = bench.analysis(analysis_id)
        assert (row.status, row.error["code"]) == ("failed", "engine_crashed")


class TestWhatDoesNotCount:
    def test_an_engine_that_dies_with_its_supervisor(self, bench):
        analysis_id = bench.started()
        for _ in range(4):
            bench.claim()
            bench.age_leases()
            assert expire_leases(bench.engine) == 1
            bench.claim()
            assert release_boot(bench.engine, "boot-1") == 1
        (row,) = [row for row in bench.shards(analysis_id) if row.work == "sample"]
        assert (row.state, row.epoch, row.crashes, row.failures) == ("READY", 8, 0, 0)

    def test_a_stale_report(self, bench):
        analysis_id = bench.started()
        stale = bench.claim()
        bench.age_leases()
        expire_leases(bench.engine)
        bench.claim()
        before = bench.snapshot(analysis_id)
        assert not crash(bench, stale)
        assert bench.snapshot(analysis_id) == before

    def test_a_crash_while_cancelling_ends_the_shard(self, bench):
        analysis_id = bench.started()
        claim = bench.claim()
        bench.cancel(analysis_id)
        assert crash(bench, claim)
        assert bench.states(analysis_id) == ["DONE", "CANCELLED"]
        assert bench.analysis(analysis_id).status == "cancelled"
