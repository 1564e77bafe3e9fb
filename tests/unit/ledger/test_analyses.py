import pytest

from ledger import analyses as verbs
from ledger.claims import release
from ledger.commits import commit
from ledger.database import read, write
from ledger.errors import Conflict
from ledger.recovery import close_rounds

FINALISE = [{"idx": 0, "work": "finalise"}]


class TestCreate:
    def test_row_plan_shard_and_event(self, bench):
        analysis_id = bench.submit(name="n", labels={"run": "7"}, deadline_seconds=60)
        row = bench.analysis(analysis_id)
        assert (row.status, row.phase, row.version, row.name) == ("queued", "planning", 1, "n")
        assert row.deadline_at == row.created_at + 60_000_000
        (plan,) = bench.shards(analysis_id)
        assert (plan.round, plan.idx, plan.work, plan.state, plan.epoch) == (0, -1, "plan", "READY", 0)
        (event,) = bench.events(analysis_id)
        assert (event.seq, event.type) == (1, "status")
        assert event.body == {"status": "queued", "phase": "planning"}


class TestTenants:
    def test_others_see_and_change_nothing(self, bench):
        analysis_id = bench.submit()
        with write(bench.engine) as conn:
            assert verbs.get(conn, "other", analysis_id) is None
            assert verbs.request_cancel(conn, "other", analysis_id) is None
            assert verbs.update(conn, "other", analysis_id, name="mine") is None
            assert verbs.delete(conn, "other", analysis_id) is False
            assert verbs.list_page(conn, "other", limit=5) == []
        assert bench.analysis(analysis_id).status == "queued"


class TestListPage:
    def test_pages_neither_skip_nor_repeat_while_rows_arrive(self, bench):
        first = [bench.submit() for _ in range(25)]
        seen, after = [], None
        while True:
            with read(bench.engine) as conn:
                page = verbs.list_page(conn, "default", limit=4, after=after)
            if not page:
                break
            seen += [row.id for row in page]
            after = (page[-1].created_at, page[-1].id)
            bench.submit()
            bench.submit(tenant_id="other")
        assert sorted(seen) == sorted(first)
        rows = [bench.analysis(analysis_id) for analysis_id in seen]
        keys = [(row.created_at, row.id) for row in rows]
        assert keys == sorted(keys, reverse=True)

    def test_filters(self, bench):
        a = bench.submit(labels={"run": "grpo-7", 'quote"d.key': "x"})
        b = bench.submit(kind="support", labels={"run": "grpo-8"})
        c = bench.submit()
        bench.cancel(c)

        def ids(**filters):
            with read(bench.engine) as conn:
                return [row.id for row in verbs.list_page(conn, "default", limit=9, **filters)]

        assert ids(status="queued") == [b, a]
        assert ids(status="cancelled") == [c]
        assert ids(kind="support") == [b]
        assert ids(label=("run", "grpo-7")) == [a]
        assert ids(label=("run", "grpo")) == []
        assert ids(label=('quote"d.key', "x")) == [a]
        assert ids(label=("run'", "x")) == []


class TestUpdate:
    def test_only_what_is_given(self, bench):
        analysis_id = bench.submit(name="old", labels={"a": "1"})
        with write(bench.engine) as conn:
            row = verbs.update(conn, "default", analysis_id, labels={"b": "2"})
            assert (row.name, row.labels, row.version) == ("old", {"b": "2"}, 2)
            assert verbs.update(conn, "default", analysis_id, name=None).name is None
            assert verbs.update(conn, "default", analysis_id).version == 3


class TestDelete:
    def test_live_is_a_conflict(self, bench):
        analysis_id = bench.submit()
        with pytest.raises(Conflict), write(bench.engine) as conn:
            verbs.delete(conn, "default", analysis_id)

    def test_takes_everything_along(self, bench):
        whole = bench.sample(0)
        analysis_id = bench.started(whole, bench.follow(1, "verify", whole))
        bench.cancel(analysis_id)
        with write(bench.engine) as conn:
            assert verbs.delete(conn, "default", analysis_id)
            assert not verbs.delete(conn, "default", analysis_id)
        assert bench.shards(analysis_id) == []
        assert bench.events(analysis_id) == []


class TestCancel:
    def test_before_anything_ran(self, bench):
        analysis_id = bench.submit(retention_seconds=5)
        row = bench.cancel(analysis_id)
        assert (row.status, row.partial, row.finish_as) == ("cancelled", False, "cancelled")
        assert row.retained_until is not None
        assert bench.states(analysis_id) == ["CANCELLED"]
        assert bench.nothing_to_claim()
        assert [e.body["status"] for e in bench.events(analysis_id)] == ["queued", "cancelled", "cancelled"]

    def test_again_changes_nothing(self, bench):
        analysis_id = bench.started(bench.sample(0), bench.sample(1))
        bench.claim()
        bench.cancel(analysis_id)
        before = bench.snapshot(analysis_id)
        assert bench.cancel(analysis_id).status == "cancelling"
        assert bench.snapshot(analysis_id) == before

    def test_a_finished_analysis_stays_finished(self, bench):
        analysis_id = bench.submit()
        bench.plan(FINALISE)
        bench.finalise(bench.claim())
        before = bench.snapshot(analysis_id)
        assert bench.cancel(analysis_id).status == "succeeded"
        assert bench.snapshot(analysis_id) == before

    def test_without_a_finished_pilot_what_runs_is_kept_and_it_ends_without_result(self, bench):
        analysis_id = bench.started(bench.sample(0), bench.sample(1))
        claim = bench.claim()
        assert bench.cancel(analysis_id).status == "cancelling"
        assert bench.states(analysis_id) == ["DONE", "RUNNING", "CANCELLED"]
        assert bench.commit(claim)
        row = bench.analysis(analysis_id)
        assert (row.status, row.partial, row.artifacts) == ("cancelled", False, {})
        assert bench.states(analysis_id) == ["DONE", "DONE", "CANCELLED"]
        assert bench.nothing_to_claim()

    def test_with_a_finished_pilot_it_is_finalised_as_partial(self, bench):
        analysis_id = bench.started(bench.sample(0))
        bench.commit(bench.claim())
        close_rounds(bench.engine)
        bench.plan([bench.sample(0), bench.sample(1)])
        running = bench.claim()
        bench.cancel(analysis_id)
        assert bench.commit(running)
        final = bench.claim()
        assert (final.shard["work"], final.shard["round"]) == ("finalise", 3)
        assert final.analysis["finish_as"] == "cancelled"
        assert bench.finalise(final)
        row = bench.analysis(analysis_id)
        assert (row.status, row.partial) == ("cancelled", True)
        assert row.artifacts
        assert bench.event_types(analysis_id).count("done") == 1

    def test_a_plan_under_way_opens_no_round(self, bench):
        analysis_id = bench.submit()
        plan = bench.claim()
        bench.cancel(analysis_id)
        assert commit(bench.engine, plan, artefact=None, usage={}, next_shards=[bench.sample(0)])
        assert bench.states(analysis_id) == ["DONE"]
        assert bench.analysis(analysis_id).status == "cancelled"

    def test_a_waiting_finalise_shard_is_still_run(self, bench):
        analysis_id = bench.submit()
        bench.plan(FINALISE)
        assert bench.cancel(analysis_id).status == "cancelling"
        assert bench.finalise(bench.claim())
        assert bench.analysis(analysis_id).status == "cancelled"

    def test_a_released_shard_does_not_wait_again(self, bench):
        analysis_id = bench.started()
        claim = bench.claim()
        bench.cancel(analysis_id)
        assert release(bench.engine, claim, reason="aborted", penalty=False)
        assert bench.states(analysis_id) == ["DONE", "CANCELLED"]
        assert bench.analysis(analysis_id).status == "cancelled"
