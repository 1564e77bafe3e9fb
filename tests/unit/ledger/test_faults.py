"""Random histories of workers that crash, stall, wake up late and are cancelled; then the books are read."""

from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from ledger.claims import Claimer, claim_next, release, renew
from ledger.commits import commit, commit_and_claim
from ledger.crashes import record_crash
from ledger.database import write
from ledger.quarantine import quarantine
from ledger.recovery import close_rounds, enforce_deadlines, expire_leases, release_boot, settle_cancelled
from ledger.states import TERMINAL_STATUSES
from ledger.tables import shards
from ledger.workers import WorkerIdentity

WORKERS = [WorkerIdentity(f"w{i}", f"boot-{i}", "host") for i in range(3)]
PROMPTS, ROUNDS, SAMPLES = 3, 2, 4


class History:
    """A bench whose holders keep every claim they ever had, and go on using it."""

    def __init__(self, bench):
        self.bench, self.engine = bench, bench.engine
        self.analysis_id = bench.submit()
        self.claims = []

    def act(self, action, choice):
        if action == "claim":
            return self.keep(claim_next(self.engine, WORKERS[choice % len(WORKERS)]))
        if action == "cancel":
            return self.bench.cancel(self.analysis_id)
        if action == "deadline":
            self.bench.set_analysis(self.analysis_id, deadline_at=1)
            return enforce_deadlines(self.engine)
        if action == "stall":
            self.stall(choice)
            return expire_leases(self.engine)
        if action == "die":
            return release_boot(self.engine, WORKERS[choice % len(WORKERS)].boot_id)
        if action == "reconcile":
            return close_rounds(self.engine), settle_cancelled(self.engine)
        return self.claims and self.use(action, self.claims[choice % len(self.claims)])

    def keep(self, claim):
        if claim is not None:
            self.claims.append(claim)
        return claim

    def stall(self, choice):
        if self.claims:
            chosen = self.claims[choice % len(self.claims)].shard["id"]
            with write(self.engine) as conn:
                running = shards.c.lease_until.is_not(None)
                conn.execute(update(shards).where(shards.c.id == chosen, running).values(lease_until=1))

    def use(self, action, claim):
        if action == "renew":
            return renew(self.engine, claim, progress=1)
        if action == "crash":
            return record_crash(self.engine, claim, detail="signal 9")
        if action == "fail":
            return release(self.engine, claim, reason="oom", penalty=True)
        if action == "go on":
            return self.keep(self.go_on(claim, Claimer(WORKERS[claim.epoch % len(WORKERS)]))[1])
        if action == "quarantine" and claim.shard["work"] != "plan":
            return quarantine(self.engine, claim, error={"code": "x", "detail": "y"})
        return self.commit(claim)

    def commit(self, claim):
        work = claim.shard["work"]
        if work == "finalise":
            return self.bench.finalise(claim)
        if work == "plan":
            planned = self.next_round(claim.shard["round"])
            return commit(self.engine, claim, artefact=None, usage={}, next_shards=planned)
        return self.bench.commit(claim)

    def go_on(self, claim, claimer):
        """As `commit`, and the next lease with it; a result ends its analysis alone."""
        work = claim.shard["work"]
        if work == "finalise":
            return self.bench.finalise(claim), None
        told = {"artefact": None, "next_shards": self.next_round(claim.shard["round"])}
        if work != "plan":
            key, rows = f"{claim.shard['id']}.e{claim.epoch}", claim.shard["planned_rows"]
            told = {"artefact": {"key": key, "sha256": "f" * 64, "n_rows": rows}}
        return commit_and_claim(self.engine, claim, claimer, usage={}, **told)

    def next_round(self, number):
        if number == ROUNDS:
            return [{"idx": 0, "work": "finalise"}]
        items = [[prompt, number * SAMPLES, (number + 1) * SAMPLES] for prompt in range(PROMPTS)]
        sample = {"idx": 0, "work": "sample", "stream": "reference", "items": items}
        return [sample, self.bench.follow(1, "verify", sample)]

    def drain(self):
        """What time and one healthy worker do."""
        for _ in range(200):
            if self.bench.analysis(self.analysis_id).status in TERMINAL_STATUSES:
                return
            self.bench.age_leases()
            for verb in (expire_leases, close_rounds, settle_cancelled):
                verb(self.engine)
            claim = claim_next(self.engine, WORKERS[0])
            assert claim is None or self.commit(claim)
        raise AssertionError("the analysis does not end")


def check_books(bench, analysis_id):
    row, rows = bench.analysis(analysis_id), bench.shards(analysis_id)
    assert not [shard for shard in rows if shard.state in ("READY", "RUNNING")]
    events = bench.events(analysis_id)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [event.type for event in events].count("done") == 1
    assert events[-1].type == "done"
    for shard in rows:
        attempts = bench.attempts(shard.id)
        assert [a.epoch for a in attempts] == list(range(1, shard.epoch + 1))
        assert None not in [a.outcome for a in attempts]
        if shard.state == "DONE":
            assert [a.outcome for a in attempts].count("done") == 1
            assert attempts[-1].outcome == "done"
            if shard.artefact_key:
                assert shard.artefact_key == f"{shard.id}.e{shard.epoch}"
    if row.status != "succeeded":
        return
    planned = {(prompt, i) for prompt in range(PROMPTS) for i in range(ROUNDS * SAMPLES)}
    for work in ("sample", "verify"):
        ended = Counter(
            (prompt, i)
            for shard in rows
            if shard.work == work and shard.state in ("DONE", "QUARANTINED")
            for prompt, low, high in shard.items
            for i in range(low, high)
        )
        assert ended == Counter(dict.fromkeys(planned, 1))
    assert row.partial == any(shard.state == "QUARANTINED" for shard in rows)


ACTIONS = ["claim", "commit", "renew", "crash", "fail", "quarantine", "stall", "die", "reconcile"]
STEPS = st.tuples(
    st.sampled_from(ACTIONS + ["claim", "commit", "go on", "reconcile"] * 3), st.integers(0, 20)
)
ENDS = st.sampled_from(["none", "none", "cancel", "deadline"])


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(before=st.lists(STEPS, max_size=30), end=ENDS, after=st.lists(STEPS, max_size=10))
def test_every_history_ends_once_with_each_sample_once(new_bench, before, end, after):
    with new_bench() as bench:
        history = History(bench)
        for action, choice in [*before, (end, 0), *after]:
            if action != "none":
                history.act(action, choice)
        history.drain()
        check_books(bench, history.analysis_id)
