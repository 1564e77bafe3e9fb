import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import update

from ledger.claims import MAX_FAILURES, claim_next, release, renew
from ledger.clock import now_us
from ledger.database import read, write
from ledger.quarantine import quarantine
from ledger.recovery import expire_leases
from ledger.states import Directive
from ledger.tables import shards
from ledger.workers import WorkerIdentity

OTHER = WorkerIdentity("w2", "boot-2", "host")


class TestExclusive:
    def test_eight_threads_share_shards_without_overlap(self, bench, engine):
        analysis_id = bench.started(*[bench.sample(i) for i in range(40)])
        start = threading.Barrier(8)

        def take_all(number):
            worker, taken = WorkerIdentity(f"w{number}", "boot", "host"), []
            start.wait()
            while (claim := claim_next(engine, worker)) is not None:
                taken.append((claim.shard["id"], claim.epoch))
            return taken

        with ThreadPoolExecutor(8) as pool:
            taken = [pair for pairs in pool.map(take_all, range(8)) for pair in pairs]
        ids = {row.id for row in bench.shards(analysis_id) if row.work == "sample"}
        assert Counter(taken) == Counter({(shard_id, 1): 1 for shard_id in ids})

    def test_processes_share_shards_without_overlap(self, bench, url):
        analysis_id = bench.started(*[bench.sample(i) for i in range(24)])
        program = """
import sys
from ledger.claims import claim_next
from ledger.commits import commit
from ledger.database import connect
from ledger.workers import WorkerIdentity
engine = connect(sys.argv[1])
sys.stdin.readline()
while claim := claim_next(engine, WorkerIdentity(sys.argv[2], "boot", "host")):
    done = commit(engine, claim, artefact={"key": "k", "sha256": "s", "n_rows": 8}, usage={"samples": 8})
    print(claim.shard["id"], done)
"""
        workers = [
            subprocess.Popen(
                [sys.executable, "-c", program, url, f"w{i}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for i in range(4)
        ]
        lines = [w for worker in workers for w in worker.communicate("go\n")[0].splitlines()]
        assert [worker.returncode for worker in workers] == [0] * 4
        ids = {row.id for row in bench.shards(analysis_id) if row.work == "sample"}
        assert Counter(lines) == Counter({f"{shard_id} True": 1 for shard_id in ids})


class TestWhatIsClaimable:
    def test_first_claim_starts_the_analysis(self, bench):
        analysis_id = bench.submit()
        claim = bench.claim()
        assert (claim.shard["work"], claim.epoch, claim.shard["owner"]) == ("plan", 1, "w1")
        assert claim.analysis["status"] == "running"
        assert [event.body["status"] for event in bench.events(analysis_id)] == ["queued", "running"]
        assert [a.worker_id for a in bench.attempts(claim.shard["id"])] == ["w1"]

    def test_dependants_wait_for_their_samples(self, bench):
        first = bench.sample(0)
        bench.started(first, bench.follow(1, "verify", first), bench.follow(2, "score", first))
        claim = bench.claim()
        assert claim.shard["work"] == "sample"
        assert bench.nothing_to_claim()
        assert bench.commit(claim)
        assert [bench.claim().shard["work"], bench.claim().shard["work"]] == ["verify", "score"]

    def test_works(self, bench):
        first = bench.sample(0)
        bench.started(first, bench.follow(1, "verify", first))
        bench.commit(bench.claim())
        assert claim_next(bench.engine, OTHER, works={"sample", "score"}) is None
        assert bench.claim(works={"verify"}).shard["work"] == "verify"

    def test_not_before(self, bench):
        bench.started()
        assert release(bench.engine, bench.claim(), reason="busy", penalty=False, not_before_seconds=60)
        assert bench.nothing_to_claim()
        with write(bench.engine) as conn:
            conn.execute(update(shards).values(not_before=now_us(conn)))
        assert bench.claim().epoch == 2

    def test_nothing_after_the_deadline_but_the_end(self, bench):
        analysis_id = bench.started()
        bench.set_analysis(analysis_id, deadline_at=1)
        assert bench.nothing_to_claim()


class TestOrder:
    def test_tenant_with_fewest_running_first(self, bench):
        for _ in range(2):
            bench.submit(tenant_id="a")
        bench.submit(tenant_id="b")
        assert [bench.claim().shard["tenant_id"] for _ in range(3)] == ["a", "b", "a"]

    def test_analysis_with_fewest_running_first(self, bench):
        first = bench.started(bench.sample(0), bench.sample(1))
        second = bench.started(bench.sample(0), bench.sample(1))
        claims = [bench.claim().analysis["id"] for _ in range(4)]
        assert Counter(claims[:2]) == Counter(claims[2:]) == Counter([first, second])

    def test_plans_first_then_resident_models(self, bench):
        a, b = "a" * 64, "b" * 64
        bench.started(
            bench.sample(0, model_keys=[a]),
            bench.sample(1, model_keys=[a, b]),
            bench.sample(2, model_keys=[b]),
        )
        assert bench.claim(resident={b}).shard["idx"] == 2
        other = bench.submit()
        assert bench.claim(resident={b}).analysis["id"] == other
        # Next to {b}, both remaining shards miss a: the smaller index goes first.
        assert bench.claim(resident={b}, works={"sample"}).shard["idx"] == 0
        assert bench.claim(resident={a, b}, works={"sample"}).shard["idx"] == 1

    def test_like_wildcards_in_a_key_mean_themselves(self, bench):
        bench.started(bench.sample(0, model_keys=["axb"]), bench.sample(1, model_keys=["a_b"]))
        assert bench.claim(resident={"a_b"}).shard["idx"] == 1

    def test_priority_among_a_tenants_own(self, bench):
        low = bench.started(bench.sample(0), bench.sample(1))
        high = bench.started(bench.sample(0), bench.sample(1), priority=5)
        other = bench.started(bench.sample(0), tenant_id="other")
        assert [bench.claim().analysis["id"] for _ in range(4)] == [high, other, high, low]

    def test_analyses_with_the_same_claim_take_turns(self, bench):
        """One worker alone: nothing runs at any claim, and still no tenant waits for another's backlog."""
        started = {
            bench.started(*[bench.sample(i) for i in range(6)], tenant_id=tenant) for tenant in ("a", "b")
        }
        served = []
        for _ in range(10):
            claim = bench.claim()
            served.append(claim.analysis["id"])
            assert bench.commit(claim)
        assert Counter(served) == Counter(dict.fromkeys(started, 5))

    def test_a_tenants_many_analyses_earn_it_nothing(self, bench):
        for _ in range(6):
            bench.started(bench.sample(0), tenant_id="many")
        bench.started(*[bench.sample(i) for i in range(6)], tenant_id="one")
        served = []
        for _ in range(10):
            claim = bench.claim()
            served.append(claim.shard["tenant_id"])
            assert bench.commit(claim)
        assert Counter(served) == {"many": 5, "one": 5}

    def test_resident_models_first_until_the_other_has_waited(self, bench, monkeypatch):
        mine = bench.started(*[bench.sample(i, model_keys=["mine"]) for i in range(6)], tenant_id="a")
        other = bench.started(*[bench.sample(i, model_keys=["other"]) for i in range(6)], tenant_id="b")

        def served(resident):
            claim = bench.claim(resident=resident)
            assert bench.commit(claim)
            return claim.analysis["id"]

        assert [served({"mine"}) for _ in range(3)] == [mine] * 3
        bench.set_analysis(other, created_at=1, claimed_at=1)  # as if it had waited since 1970
        assert served({"mine"}) == other
        assert served({"mine"}) == mine
        assert served({"other"}) == other


class TestLease:
    def test_times_come_from_the_database(self, bench, monkeypatch):
        bench.started()
        with read(bench.engine) as conn:
            before = now_us(conn)
        for clock in ("time", "time_ns"):
            ahead = getattr(time, clock)() * 2
            monkeypatch.setattr(time, clock, lambda ahead=ahead: ahead)
        claim = bench.claim(lease_seconds=15)
        assert before <= claim.shard["lease_until"] - 15_000_000 < before + 60_000_000
        assert renew(bench.engine, claim, lease_seconds=15) == Directive.CONTINUE
        assert expire_leases(bench.engine) == 0

    def test_expired_lease_is_claimed_again_under_the_next_epoch(self, bench):
        analysis_id = bench.started()
        first = bench.claim()
        bench.age_leases()
        assert expire_leases(bench.engine) == 1
        assert expire_leases(bench.engine) == 0
        waiting = bench.shard(first.shard["id"])
        assert (waiting.state, waiting.epoch, waiting.crashes, waiting.lease_until) == ("READY", 1, 0, None)
        second = bench.claim(OTHER)
        assert (second.shard["id"], second.epoch) == (first.shard["id"], 2)
        tries = bench.attempts(first.shard["id"])
        assert [(a.epoch, a.worker_id, a.outcome) for a in tries] == [(1, "w1", "lost"), (2, "w2", None)]
        assert bench.analysis(analysis_id).status == "running"

    def test_renewal_reports_progress_and_extends(self, bench):
        bench.started()
        claim = bench.claim(lease_seconds=1)
        assert renew(bench.engine, claim, progress=3, lease_seconds=60) == "continue"
        row = bench.shard(claim.shard["id"])
        assert row.progress == 3
        assert row.lease_until >= claim.shard["lease_until"] + 50_000_000
        stalled_at = row.progress_at
        renew(bench.engine, claim, progress=3)
        assert bench.shard(row.id).progress_at == stalled_at

    @pytest.mark.parametrize("reclaimed", [False, True])
    def test_renewal_after_a_takeover_is_lost_and_changes_nothing(self, bench, reclaimed):
        analysis_id = bench.started()
        stale = bench.claim()
        bench.age_leases()
        expire_leases(bench.engine)
        if reclaimed:
            bench.claim(OTHER)
        before = bench.snapshot(analysis_id)
        assert renew(bench.engine, stale, progress=7) == Directive.LOST
        assert bench.snapshot(analysis_id) == before

    def test_renewal_delivers_a_cancel(self, bench):
        analysis_id = bench.started()
        claim = bench.claim()
        bench.cancel(analysis_id)
        assert renew(bench.engine, claim) == Directive.ABORT


class TestRelease:
    def test_without_penalty_forever(self, bench):
        bench.started()
        for epoch in range(1, MAX_FAILURES + 3):
            claim = bench.claim()
            assert claim.epoch == epoch
            assert release(bench.engine, claim, reason="drain", penalty=False)
        assert bench.shard(claim.shard["id"]).failures == 0

    def test_fifth_failure_quarantines_and_takes_the_dependants_along(self, bench):
        first = bench.sample(0, prompts=(3,))
        analysis_id = bench.started(first, bench.follow(1, "verify", first), bench.sample(2))
        error = {"code": "insufficient_memory", "detail": "12 GiB wanted"}
        for _ in range(MAX_FAILURES):
            claim = bench.claim()
            assert claim.shard["idx"] == 0
            assert release(bench.engine, claim, reason="oom", penalty=True, error=error)
        plan, quarantined, verify, other = bench.shards(analysis_id)
        assert (quarantined.state, quarantined.failures) == ("QUARANTINED", 5)
        assert (verify.state, verify.error["code"]) == ("QUARANTINED", "samples_missing")
        assert (plan.state, other.state) == ("DONE", "READY")
        assert bench.analysis(analysis_id).errors == [{"prompt_id": "p3", **error}]
        assert bench.event_types(analysis_id).count("warning") == 1

    def test_a_stale_release_changes_nothing(self, bench):
        analysis_id = bench.started()
        stale = bench.claim()
        bench.age_leases()
        expire_leases(bench.engine)
        bench.claim(OTHER)
        before = bench.snapshot(analysis_id)
        assert not release(bench.engine, stale, reason="late", penalty=True)
        assert not quarantine(bench.engine, stale, error={"code": "x", "detail": "y"})
        assert bench.snapshot(analysis_id) == before

    def test_a_plan_that_cannot_be_made_fails_the_analysis(self, bench):
        analysis_id = bench.submit()
        claim = bench.claim()
        error = {"code": "tokenizer_missing", "detail": "no tokenizer.json"}
        assert quarantine(bench.engine, claim, error=error)
        row = bench.analysis(analysis_id)
        assert (row.status, row.error["code"]) == ("failed", "tokenizer_missing")
        assert bench.nothing_to_claim()
