from sqlalchemy import update

from ledger import workers
from ledger.database import read, write
from ledger.fleet import fleet
from ledger.tables import shards


def look(bench):
    with read(bench.engine) as conn:
        return fleet(conn)


def age(bench, shard_id, *, seconds):
    with write(bench.engine) as conn:
        made = shards.c.created_at - seconds * 1_000_000
        conn.execute(update(shards).where(shards.c.id == shard_id).values(created_at=made))


def test_an_empty_ledger_counts_zeros(bench):
    empty = look(bench)
    assert set(empty.shards.values()) == set(empty.analyses.values()) == {0}
    assert (empty.oldest_ready_seconds, empty.workers) == (0.0, 0)
    assert (empty.sampled_tokens, empty.engine_seconds) == (0, 0.0)


def test_everything_is_counted_whoever_owns_it(bench):
    bench.started(bench.sample(0), bench.sample(1))
    bench.commit(bench.claim(), sampled_tokens=30, engine_seconds=0.5)
    bench.submit(tenant_id="another")
    workers.seen(bench.engine, bench.worker, [])
    found = look(bench)
    assert {state: n for state, n in found.shards.items() if n} == {"READY": 2, "DONE": 2}
    assert {status: n for status, n in found.analyses.items() if n} == {"running": 1, "queued": 1}
    assert (found.workers, found.sampled_tokens, found.engine_seconds) == (1, 30, 0.5)


def test_a_blocked_shard_waits_from_when_its_samples_are_there(bench):
    whole = bench.sample(0)
    analysis_id = bench.started(whole, bench.follow(1, "verify", whole))
    _, drawn, judged = bench.shards(analysis_id)
    age(bench, judged.id, seconds=7_200)
    age(bench, drawn.id, seconds=3_600)
    assert 3_600 <= look(bench).oldest_ready_seconds < 7_200
    bench.commit(bench.claim())
    assert look(bench).oldest_ready_seconds < 3_600
