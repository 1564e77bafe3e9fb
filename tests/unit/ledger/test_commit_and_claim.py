"""The end of one shard and the lease of the next in one transaction."""

import pytest

from ledger.claims import Claimer
from ledger.commits import commit_and_claim
from ledger.database import read, write
from ledger.errors import InvalidRound
from ledger.recovery import close_rounds, expire_leases
from ledger.transitions import lock_analysis
from ledger.workers import WorkerIdentity

OTHER = WorkerIdentity("w2", "boot-2", "host")


def go_on(bench, claim, claimer=None, **told):
    rows = claim.shard["planned_rows"]
    told = {
        "artefact": {"key": f"{claim.shard['id']}.e{claim.epoch}", "sha256": "f" * 64, "n_rows": rows},
        **told,
    }
    return commit_and_claim(bench.engine, claim, claimer or Claimer(bench.worker), usage={}, **told)


def test_the_next_shard_is_leased_with_the_end_of_one(bench):
    analysis_id = bench.started(bench.sample(0), bench.sample(1))
    first = bench.claim()
    taken, following = go_on(bench, first)
    assert taken
    assert bench.states(analysis_id) == ["DONE", "DONE", "RUNNING"]
    row = bench.shards(analysis_id)[2]
    assert (following.shard, following.epoch) == (row._asdict(), 1)
    assert (row.owner, row.started_at) == (bench.worker.id, bench.attempts(row.id)[0].started_at)
    assert following.analysis["id"] == analysis_id
    assert go_on(bench, following)[0]


def test_a_plan_is_followed_by_the_first_shard_of_its_round(bench):
    bench.submit()
    _, following = go_on(bench, bench.claim(), artefact=None, next_shards=[bench.sample(0)])
    assert (following.shard["work"], following.shard["round"]) == ("sample", 1)


def test_the_last_shard_of_a_round_closes_it_once(bench):
    analysis_id = bench.started(bench.sample(0), bench.sample(1))
    one, other = bench.claim(), bench.claim(OTHER)
    assert go_on(bench, one) == (True, None)
    taken, following = go_on(bench, other)
    assert taken
    assert (following.shard["work"], following.shard["round"]) == ("plan", 1)
    assert close_rounds(bench.engine) == 0
    assert [row.work for row in bench.shards(analysis_id)] == ["plan", "plan", "sample", "sample"]


def test_nobody_need_claim(bench):
    analysis_id = bench.started()
    assert commit_and_claim(bench.engine, bench.claim(), None, artefact=None, usage={}) == (True, None)
    assert bench.states(analysis_id) == ["DONE", "READY", "DONE"]


def test_only_works_that_the_claimer_does(bench):
    sample = bench.sample(0)
    bench.started(sample, bench.follow(1, "verify", sample), bench.sample(2))
    _, following = go_on(bench, bench.claim(), Claimer(bench.worker, works={"verify"}))
    assert following.shard["work"] == "verify"


def test_who_has_lost_its_lease_changes_and_claims_nothing(bench):
    analysis_id = bench.started(bench.sample(0), bench.sample(1))
    stale = bench.claim()
    bench.age_leases()
    expire_leases(bench.engine)
    before = bench.snapshot(analysis_id)
    assert go_on(bench, stale) == (False, None)
    assert bench.snapshot(analysis_id) == before


def test_what_is_refused_claims_nothing(bench):
    analysis_id = bench.started(bench.sample(0), bench.sample(1))
    claim = bench.claim()
    before = bench.snapshot(analysis_id)
    with pytest.raises(InvalidRound):
        go_on(bench, claim, next_shards=[bench.sample(0)])
    assert bench.snapshot(analysis_id) == before


def test_an_analysis_that_was_told_to_end_is_not_planned_again(bench):
    analysis_id = bench.started()
    claim = bench.claim()
    bench.cancel(analysis_id)
    taken, following = go_on(bench, claim)
    assert taken
    assert following.shard["work"] == "finalise"
    assert [row.work for row in bench.shards(analysis_id)] == ["plan", "sample", "finalise"]


def test_one_that_ends_unplanned_is_not_planned_either(bench):
    analysis_id = bench.submit()
    claim = bench.claim()
    bench.cancel(analysis_id)
    assert go_on(bench, claim, artefact=None, next_shards=[bench.sample(0)]) == (True, None)
    assert bench.analysis(analysis_id).status == "cancelled"
    assert bench.states(analysis_id) == ["DONE"]


def test_whose_turn_it_is_does_not_depend_on_who_ended(bench):
    mine = bench.started(bench.sample(0), bench.sample(1))
    claim = bench.claim()
    theirs = bench.submit(tenant_id="other", priority=1)
    _, following = go_on(bench, claim)
    assert following.analysis["id"] == theirs
    assert bench.states(mine) == ["DONE", "DONE", "READY"]


def test_on_postgresql_nobody_waits_for_another_lock(bench):
    if bench.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one write lock")
    bench.started()
    claim = bench.claim()
    held = bench.submit(priority=1)
    with write(bench.engine) as conn:
        assert lock_analysis(conn, held) is not None
        taken, following = go_on(bench, claim)
    assert taken
    assert (following.shard["work"], following.shard["round"]) == ("plan", 1)
    with read(bench.engine) as conn:
        assert lock_analysis(conn, held, skip_locked=True) is not None
