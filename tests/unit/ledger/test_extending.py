import pytest

from ledger import retention
from ledger.artefacts import ArtefactStore
from ledger.claims import renew
from ledger.commits import commit, commit_finalise, fail_analysis
from ledger.database import read, write
from ledger.errors import Conflict
from ledger.extending import extend
from ledger.progress import progress
from ledger.recovery import close_rounds, enforce_deadlines
from ledger.shards import inputs_for
from ledger.states import Directive

FINALISE = [{"idx": 0, "work": "finalise"}]
SPEC = {"prompts": {"inline": []}, "budget": {"samples_per_prompt": 8}}


def go_on(bench, analysis_id, *, tenant="default", revision=1, deadline=None):
    with write(bench.engine) as conn:
        return extend(
            conn,
            tenant,
            analysis_id,
            revision=revision,
            spec=SPEC,
            spec_sha256="1" * 64,
            deadline_seconds=deadline,
        )


@pytest.fixture
def succeeded(bench):
    """An analysis with one round and a result."""
    analysis_id = bench.started()
    bench.commit(bench.claim())
    assert close_rounds(bench.engine) == 1
    bench.plan(FINALISE)
    assert bench.finalise(bench.claim(works={"finalise"}))
    return analysis_id


def test_it_waits_again_behind_its_last_round_and_keeps_its_result(bench, succeeded):
    before = bench.analysis(succeeded)
    row = go_on(bench, succeeded, deadline=60)
    assert (row.status, row.phase, row.revision, row.result_revision) == ("queued", "planning", 2, 1)
    assert (row.artifacts, row.spec, row.started_at) == (before.artifacts, SPEC, before.started_at)
    assert row.finished_at is row.error is row.finish_as is None
    assert row.deadline_at == row.extended_at + 60_000_000
    assert row.version > before.version
    plan = bench.claim()
    assert (plan.shard["work"], plan.shard["round"], plan.shard["idx"]) == ("plan", 3, -1)
    with read(bench.engine) as conn:  # it plans from everything that was committed
        assert [entry["work"] for entry in inputs_for(conn, plan.shard)] == ["sample"]
    assert bench.analysis(succeeded).status == "running"


def test_its_second_result_takes_the_place_of_the_first(bench, succeeded):
    go_on(bench, succeeded)
    bench.plan([bench.sample(0, prompts=[2])])
    bench.commit(bench.claim())
    assert close_rounds(bench.engine) == 1
    bench.plan(FINALISE)
    stored = {"key": "second", "sha256": "d" * 64, "bytes": 2, "media_type": "application/json"}
    claim = bench.claim(works={"finalise"})
    assert commit_finalise(bench.engine, claim, artifacts={"result.json": stored}, usage={})
    row = bench.analysis(succeeded)
    assert (row.status, row.revision, row.result_revision) == ("succeeded", 2, 2)
    assert row.artifacts["result.json"]["key"] == "second"
    types = bench.event_types(succeeded)
    assert types.count("done") == 2
    assert types.count("extended") == 1
    assert types[-1] == "done"


def test_of_two_that_saw_the_same_revision_one_extends_it(bench, succeeded):
    go_on(bench, succeeded)
    with pytest.raises(Conflict):
        go_on(bench, succeeded)
    bench.plan(FINALISE)
    bench.finalise(bench.claim(works={"finalise"}))
    with pytest.raises(Conflict):
        go_on(bench, succeeded, revision=1)
    assert go_on(bench, succeeded, revision=2).revision == 3


def test_without_a_result_there_is_nothing_to_go_on_from(bench):
    analysis_id = bench.submit()
    bench.cancel(analysis_id)
    with pytest.raises(Conflict):
        go_on(bench, analysis_id)
    assert bench.analysis(analysis_id).status == "cancelled"


def test_others_extend_nothing(bench, succeeded):
    assert go_on(bench, succeeded, tenant="other") is None
    assert bench.analysis(succeeded).status == "succeeded"


def test_who_held_a_shard_of_a_failed_one_stays_out(bench, succeeded):
    go_on(bench, succeeded)
    bench.plan([bench.sample(0, prompts=[2]), bench.sample(1, prompts=[3])])
    first, late = bench.claim(), bench.claim()
    problem = {"code": "model_changed", "detail": "gone"}
    assert fail_analysis(bench.engine, first, problem=problem)
    assert bench.analysis(succeeded).error == problem
    row = go_on(bench, succeeded, revision=2)
    assert (row.status, row.error, row.result_revision) == ("queued", None, 1)
    assert renew(bench.engine, late) is Directive.LOST
    assert not bench.commit(late)


@pytest.mark.parametrize("end", ["cancelled", "expired"])
def test_ended_early_it_keeps_the_result_there_was(bench, succeeded, end):
    go_on(bench, succeeded, deadline=60)
    bench.plan([bench.sample(0, prompts=[2]), bench.sample(1, prompts=[3])])
    bench.commit(bench.claim())
    if end == "cancelled":
        bench.cancel(succeeded)
    else:
        bench.set_analysis(succeeded, deadline_at=1)
        assert enforce_deadlines(bench.engine) == 1  # a finalise shard of before does not hold it up
    row = bench.analysis(succeeded)
    assert (row.status, row.partial, row.result_revision) == (end, False, 1)
    assert bench.nothing_to_claim()
    with read(bench.engine) as conn:
        assert progress(conn, succeeded).total == 16
    go_on(bench, succeeded, revision=2)
    with read(bench.engine) as conn:  # what was dropped is planned anew, so it is not counted twice
        now = progress(conn, succeeded)
    assert (now.completed, now.total) == (12, 12)


def test_one_that_goes_on_is_not_collected(bench, succeeded, tmp_path, monkeypatch):
    bench.set_analysis(succeeded, retained_until=1)
    found = retention._outlived(bench.engine)
    assert found == [succeeded]
    go_on(bench, succeeded)  # between the look and the removal
    monkeypatch.setattr(retention, "_outlived", lambda engine: found)
    assert retention.collect(bench.engine, ArtefactStore(tmp_path / "artefacts")) == 0
    assert bench.analysis(succeeded).status == "queued"


@pytest.mark.parametrize("stop", ["cancelled", "failed"])
def test_one_that_ended_before_it_was_planned_goes_on_again(bench, succeeded, stop):
    go_on(bench, succeeded)
    if stop == "cancelled":
        bench.cancel(succeeded)
    else:
        assert fail_analysis(bench.engine, bench.claim(), problem={"code": "c", "detail": "d"})
    assert bench.analysis(succeeded).status == stop
    assert go_on(bench, succeeded, revision=2).revision == 3
    assert bench.claim().shard["work"] == "plan"


def test_planning_finds_what_is_missing_even_if_told_nothing(bench, succeeded):
    """The plan shard of an extension is the only one of its round."""
    go_on(bench, succeeded)
    claim = bench.claim()
    assert close_rounds(bench.engine) == 0
    assert commit(bench.engine, claim, artefact=None, usage={}, next_shards=FINALISE)
    assert [row.work for row in bench.shards(succeeded)][-2:] == ["plan", "finalise"]
