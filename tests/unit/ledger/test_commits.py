import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger.commits import commit, fail_analysis
from ledger.errors import InvalidRound
from ledger.quarantine import quarantine
from ledger.recovery import close_rounds, expire_leases
from ledger.shards import failures_for, inputs_for
from ledger.workers import WorkerIdentity

OTHER = WorkerIdentity("w2", "boot-2", "host")
FINALISE = [{"idx": 0, "work": "finalise"}]
PROBLEM = {"type": "about:blank", "title": "t", "status": 500, "code": "model_broken", "detail": "d"}


def take_over(bench):
    bench.age_leases()
    assert expire_leases(bench.engine) == 1
    return bench.claim(OTHER)


class TestFence:
    @pytest.mark.parametrize("reclaimed", [False, True])
    def test_samples_of_a_lost_lease(self, bench, reclaimed):
        analysis_id = bench.started()
        stale = bench.claim()
        if reclaimed:
            current = take_over(bench)
        else:
            bench.age_leases()
            expire_leases(bench.engine)
        before = bench.snapshot(analysis_id)
        assert not bench.commit(stale)
        assert not fail_analysis(bench.engine, stale, problem=PROBLEM)
        assert bench.snapshot(analysis_id) == before
        if reclaimed:
            assert bench.commit(current)
            assert bench.shard(current.shard["id"]).artefact_key.endswith(".e2")

    def test_plan_of_a_lost_lease(self, bench):
        analysis_id = bench.submit()
        stale = bench.claim()
        current = take_over(bench)
        planned = [bench.sample(0), bench.sample(1)]
        assert not commit(bench.engine, stale, artefact=None, usage={}, next_shards=planned)
        assert len(bench.shards(analysis_id)) == 1
        assert commit(bench.engine, current, artefact=None, usage={}, next_shards=planned)
        assert not commit(bench.engine, current, artefact=None, usage={}, next_shards=planned)
        assert [(row.round, row.idx) for row in bench.shards(analysis_id)] == [(0, -1), (1, 0), (1, 1)]
        assert bench.event_types(analysis_id).count("round") == 1

    def test_result_of_a_lost_lease(self, bench):
        analysis_id = bench.submit()
        bench.plan(FINALISE)
        stale = bench.claim()
        current = take_over(bench)
        before = bench.snapshot(analysis_id)
        assert not bench.finalise(stale)
        assert bench.snapshot(analysis_id) == before
        assert bench.finalise(current)
        assert not bench.finalise(current)
        assert bench.event_types(analysis_id).count("done") == 1

    def test_eight_threads_commit_one_claim_once(self, bench):
        analysis_id = bench.submit()
        claim = bench.claim()
        start = threading.Barrier(8)

        def try_to(_):
            start.wait()
            return commit(bench.engine, claim, artefact=None, usage={}, next_shards=[bench.sample(0)])

        with ThreadPoolExecutor(8) as pool:
            assert sorted(pool.map(try_to, range(8))) == [False] * 7 + [True]
        assert len(bench.shards(analysis_id)) == 2


class TestCommit:
    def test_row_attempt_and_event(self, bench):
        analysis_id = bench.started()
        claim = bench.claim()
        usage = {"samples": 8, "sampled_tokens": 40, "engine_seconds": 1.5}
        assert bench.commit(claim, **usage)
        row = bench.shard(claim.shard["id"])
        assert (row.state, row.n_rows, row.artefact_sha256, row.usage) == ("DONE", 8, "f" * 64, usage)
        (attempt,) = bench.attempts(row.id)
        assert (attempt.outcome, attempt.engine_seconds) == ("done", 1.5)
        event = bench.events(analysis_id)[-1]
        assert (event.type, event.body) == ("progress", {"phase": "planning", "completed": 8, "total": 8})

    def test_round_event_phase_and_warnings(self, bench):
        analysis_id = bench.submit()
        warning = {"code": "one_prompt", "detail": "one prompt only"}
        planned = [bench.sample(0), bench.sample(1, planned_rows=5)]
        bench.plan(planned, phase="sampling", warnings=[warning, warning])
        row = bench.analysis(analysis_id)
        assert (row.phase, row.warnings) == ("sampling", [warning])
        events = {event.type: event.body for event in bench.events(analysis_id)}
        assert events["round"] == {"round": 1, "shards": 2, "planned_rows": 13}
        assert events["warning"] == warning

    def test_version_rises_with_each_change(self, bench):
        analysis_id = bench.submit()
        versions = [bench.analysis(analysis_id).version]
        bench.plan([bench.sample(0)])
        versions.append(bench.analysis(analysis_id).version)
        bench.commit(bench.claim())
        versions.append(bench.analysis(analysis_id).version)
        assert versions == sorted(set(versions))

    def test_dependencies_by_index_id_and_older_round(self, bench):
        analysis_id = bench.started(bench.sample(0, id="local"), bench.follow(1, "verify", bench.sample(0)))
        first, verify = bench.shards(analysis_id)[1:]
        assert first.id != "local"
        assert verify.depends_on == first.id
        bench.commit(bench.claim())
        bench.commit(bench.claim())
        close_rounds(bench.engine)
        older = {**bench.sample(1), "work": "score", "scorer": "candidate", "depends_on": first.id}
        newer = {**bench.sample(2), "work": "score", "depends_on": "mine"}
        bench.plan([bench.sample(0, id="mine"), older, newer])
        again = [row for row in bench.shards(analysis_id) if row.round == 2 and row.idx >= 0]
        assert [row.depends_on for row in again] == [None, first.id, again[0].id]

    @pytest.mark.parametrize(
        "planned",
        [
            [],
            [{"idx": 0, "work": "guess"}],
            [{"idx": -1, "work": "plan"}, {"idx": -1, "work": "plan"}],
            [{"idx": -1, "work": "sample"}],
            [{"idx": 0, "work": "plan"}],
            [{"idx": 0, "work": "sample"}, {"idx": 0, "work": "sample"}],
            [{"idx": 0, "work": "sample"}, {"idx": 1, "work": "finalise"}],
            [{"idx": 0, "work": "verify", "depends_on": "shd_elsewhere"}],
            [{"idx": 0, "work": "sample"}, {"idx": 1, "work": "sample", "depends_on": 0}],
            [
                {"idx": 0, "work": "sample", "items": [[0, 0, 4]]},
                {"idx": 1, "work": "verify", "items": [[0, 0, 5]], "depends_on": 0},
            ],
        ],
    )
    def test_a_contradictory_round_changes_nothing(self, bench, planned):
        analysis_id = bench.submit()
        claim = bench.claim()
        before = bench.snapshot(analysis_id)
        with pytest.raises(InvalidRound):
            commit(bench.engine, claim, artefact=None, usage={}, next_shards=planned)
        assert bench.snapshot(analysis_id) == before

    def test_each_verb_takes_its_own_works(self, bench):
        bench.started()
        claim = bench.claim()
        with pytest.raises(InvalidRound):
            commit(bench.engine, claim, artefact=None, usage={}, next_shards=[bench.sample(0)])
        with pytest.raises(InvalidRound):
            bench.finalise(claim)
        bench.commit(claim)
        close_rounds(bench.engine)
        bench.plan(FINALISE)
        with pytest.raises(InvalidRound):
            bench.commit(bench.claim())

    def test_inputs(self, bench):
        first = bench.sample(0)
        analysis_id = bench.started(first, bench.follow(1, "verify", first), bench.sample(2))
        with bench.engine.connect() as conn:
            assert inputs_for(conn, bench.shards(analysis_id)[1]._asdict()) == []
        bench.commit(bench.claim())
        verify = bench.claim(works={"verify"})
        with bench.engine.connect() as conn:
            (source,) = inputs_for(conn, verify.shard)
        assert source == {
            "shard_id": verify.shard["depends_on"],
            "work": "sample",
            "stream": "reference",
            "scorer": None,
            "round": 1,
            "items": [[0, 0, 4], [1, 0, 4]],
            "artefact_key": f"{verify.shard['depends_on']}.e1",
            "sha256": "f" * 64,
            "n_rows": 8,
        }
        bench.commit(verify)
        bench.commit(bench.claim())
        close_rounds(bench.engine)
        with bench.engine.connect() as conn:
            works = [given["work"] for given in inputs_for(conn, bench.claim().shard)]
            assert failures_for(conn, analysis_id) == []
        assert works == ["sample", "verify", "sample"]


class TestFinalise:
    def test_success(self, bench):
        analysis_id = bench.submit(retention_seconds=60)
        bench.plan(FINALISE)
        assert bench.finalise(bench.claim(), verdict="elicitation")
        row = bench.analysis(analysis_id)
        assert (row.status, row.partial, row.verdict) == ("succeeded", False, "elicitation")
        assert row.artifacts["result.json"]["media_type"] == "application/json"
        assert row.retained_until == row.finished_at + 60_000_000
        assert [event.type for event in bench.events(analysis_id)[-2:]] == ["status", "done"]
        body = {"status": "succeeded", "partial": False, "verdict": "elicitation"}
        assert bench.events(analysis_id)[-1].body == body

    def test_a_quarantined_shard_makes_it_partial(self, bench):

        analysis_id = bench.started(bench.sample(0), bench.sample(1))
        quarantine(bench.engine, bench.claim(), error={"code": "x", "detail": "y"})
        bench.commit(bench.claim())
        close_rounds(bench.engine)
        bench.plan(FINALISE)
        with bench.engine.connect() as conn:
            (failure,) = failures_for(conn, analysis_id)
        assert (failure["code"], failure["detail"], failure["items"]) == ("x", "y", [[0, 0, 4], [1, 0, 4]])
        bench.finalise(bench.claim())
        row = bench.analysis(analysis_id)
        assert (row.status, row.partial) == ("succeeded", True)
        assert [entry["prompt_id"] for entry in row.errors] == ["p0", "p1"]


class TestFailAnalysis:
    def test_others_are_cancelled_and_lose_their_leases(self, bench):
        analysis_id = bench.started(bench.sample(0), bench.sample(1), bench.sample(2))
        mine, other = bench.claim(), bench.claim(OTHER)
        assert fail_analysis(bench.engine, mine, problem=PROBLEM, usage={"samples": 3})
        assert bench.states(analysis_id) == ["DONE", "QUARANTINED", "CANCELLED", "CANCELLED"]
        assert not bench.commit(other)
        assert bench.attempts(other.shard["id"])[0].outcome == "cancelled"
        row = bench.analysis(analysis_id)
        assert (row.status, row.error) == ("failed", PROBLEM)
        assert bench.event_types(analysis_id)[-2:] == ["status", "done"]
        assert not fail_analysis(bench.engine, mine, problem=PROBLEM)


class TestCancelRacesTheLastCommit:
    def test_it_ends_once_whoever_wins(self, bench):
        for _ in range(12):
            analysis_id = bench.submit()
            bench.plan(FINALISE)
            claim = bench.claim()
            start = threading.Barrier(2)

            def cancel(analysis_id=analysis_id, start=start):
                start.wait()
                bench.cancel(analysis_id)

            def finish(claim=claim, start=start):
                start.wait()
                return bench.finalise(claim)

            with ThreadPoolExecutor(2) as pool:
                cancelled, finished = pool.submit(cancel), pool.submit(finish)
                cancelled.result()
                assert finished.result()
            row = bench.analysis(analysis_id)
            assert row.status in ("succeeded", "cancelled")
            assert (row.cancel_requested_at is None) == (row.status == "succeeded")
            assert bench.event_types(analysis_id).count("done") == 1
            assert bench.states(analysis_id) == ["DONE", "DONE"]

    def test_last_sample_against_cancel(self, bench):
        for _ in range(12):
            analysis_id = bench.started()
            claim = bench.claim()
            with ThreadPoolExecutor(2) as pool:
                cancelled = pool.submit(bench.cancel, analysis_id)
                committed = pool.submit(bench.commit, claim)
                cancelled.result()
                assert committed.result()
            # Either way the pilot is done, so a partial result is made, once.
            assert bench.analysis(analysis_id).status == "cancelling"
            assert bench.states(analysis_id) == ["DONE", "DONE", "READY"]
            assert bench.finalise(bench.claim())
            row = bench.analysis(analysis_id)
            assert (row.status, row.partial) == ("cancelled", True)
