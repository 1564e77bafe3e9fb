import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from ledger import analyses
from ledger.claims import renew
from ledger.commits import commit
from ledger.database import read, write
from ledger.recovery import release_boot
from ledger.states import Directive
from ledger.tables import shards
from workers.errors import AnalysisFault
from workers.supervisor import settlement
from workers.supervisor.run import Ending, Outcome
from workers.supervisor.settlement import refuse, settle

SAMPLE = {"idx": 0, "work": "sample", "stream": "reference", "items": [[0, 0, 4]], "model_keys": []}
USAGE = {"samples": 4}


class Lease:
    directive = Directive.CONTINUE


def row(engine, shard_id):
    with read(engine) as conn:
        return conn.execute(select(shards).where(shards.c.id == shard_id)).one()


@pytest.fixture
def sample(engine, submit, claim):
    submit()
    assert commit(engine, claim(), artefact=None, usage={}, next_shards=[SAMPLE])
    return claim()


def failed(**body):
    return Outcome(Ending.FAILED, {"event": "failed", "kind": "shard", "code": "c", "detail": "d", **body})


@pytest.mark.parametrize(
    ("outcome", "state", "crashes", "failures"),
    [
        (Outcome(Ending.STOPPED, detail="drain"), "READY", 0, 0),
        (Outcome(Ending.STALLED, detail="no progress"), "READY", 0, 1),
        (Outcome(Ending.CRASHED, detail="killed by SIGKILL"), "READY", 1, 0),
        (failed(retryable=True), "READY", 0, 1),
        (failed(retryable=False), "QUARANTINED", 0, 0),
        (failed(kind="store", retryable=True), "READY", 0, 0),
    ],
)
def test_what_counts_against_a_shard(engine, sample, outcome, state, crashes, failures):
    assert settle(engine, sample, outcome, Lease()).taken
    found = row(engine, sample.shard["id"])
    assert (found.state, found.crashes, found.failures) == (state, crashes, failures)


def test_a_failed_shard_waits_longer_each_time(engine, sample):
    assert settle(engine, sample, failed(retryable=True), Lease()).taken
    first = row(engine, sample.shard["id"])
    assert first.not_before - first.created_at > 0


def test_a_committed_sample_closes_its_round_at_once(engine, sample, claim):
    reply = {"artefact": {"key": "default/a/b", "sha256": "s", "n_rows": 4}, "usage": USAGE}
    assert settle(engine, sample, Outcome(Ending.DONE, reply), Lease()).taken
    assert row(engine, sample.shard["id"]).state == "DONE"
    assert claim().shard["work"] == "plan"


def test_a_stale_holder_changes_nothing(engine, sample):
    release_boot(engine, "b-1")
    for outcome in (Outcome(Ending.DONE, {"usage": {}}), Outcome(Ending.CRASHED), failed(retryable=False)):
        assert not settle(engine, sample, outcome, Lease()).taken
    found = row(engine, sample.shard["id"])
    assert (found.state, found.crashes, found.failures) == ("READY", 0, 0)


def test_a_reply_that_makes_no_sense_is_given_up(engine, submit, claim):
    submit()
    assert settle(engine, claim(), Outcome(Ending.DONE, {"usage": {}, "next_shards": []}), Lease()).taken
    with read(engine) as conn:
        analysis = analyses.get(conn, "default", "anl_1")
    assert (analysis.status, analysis.error["code"]) == ("failed", "internal_error")


def test_a_refused_analysis_fails_with_the_pointer(engine, submit, claim):
    submit()
    assert refuse(engine, claim(), AnalysisFault("unknown_model", "no model", "/reference/model"))
    with read(engine) as conn:
        error = analyses.get(conn, "default", "anl_1").error
    assert error["errors"] == [{"detail": "no model", "pointer": "/reference/model"}]


def test_cancelled_while_finalising_is_finalised_again(engine, submit, claim):
    submit()
    assert commit(engine, claim(), artefact=None, usage={}, next_shards=[{"idx": 0, "work": "finalise"}])
    finalise = claim()
    with write(engine) as conn:
        analyses.request_cancel(conn, "default", "anl_1")
    done = Outcome(Ending.DONE, {"artifacts": {}, "usage": {}})
    assert settle(engine, finalise, done, Lease()).taken
    assert row(engine, finalise.shard["id"]).state == "READY"
    again = claim()
    assert again.analysis["finish_as"] == "cancelled"
    assert settle(engine, again, done, Lease()).taken
    with read(engine) as conn:
        assert analyses.get(conn, "default", "anl_1").status == "cancelled"


def test_the_database_may_be_away_for_a_while(engine, sample, monkeypatch):
    away = iter([True, True, False])
    real = settlement.release

    def sometimes(*args, **options):
        if next(away):
            raise OperationalError("", {}, Exception("locked"))
        return real(*args, **options)

    monkeypatch.setattr(settlement, "release", sometimes)
    monkeypatch.setattr(settlement, "RETRY_SECONDS", 0)
    assert settle(engine, sample, Outcome(Ending.STOPPED, detail="drain"), Lease()).taken
    assert renew(engine, sample) is Directive.LOST


def test_nobody_insists_on_a_lease_that_is_lost(engine, sample, monkeypatch):
    def never(*args, **options):
        raise OperationalError("", {}, Exception("locked"))

    monkeypatch.setattr(settlement, "release", never)
    lease = Lease()
    lease.directive = Directive.LOST
    assert not settle(engine, sample, Outcome(Ending.STOPPED, detail="drain"), lease).taken
