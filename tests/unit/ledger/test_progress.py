from ledger.claims import renew
from ledger.crashes import record_crash
from ledger.database import read
from ledger.progress import Progress, progress, usage
from ledger.quarantine import quarantine


def now(bench, analysis_id):
    with read(bench.engine) as conn:
        return progress(conn, analysis_id)


def test_done_rows_and_running_reports_over_planned_rows(bench):
    whole = bench.sample(0)  # 8 rows, as many to verify
    analysis_id = bench.submit()
    assert now(bench, analysis_id) == Progress("planning", 0, 0)
    bench.plan([whole, bench.follow(1, "verify", whole)], phase="sampling")
    assert now(bench, analysis_id) == Progress("sampling", 0, 16)
    claim = bench.claim()
    renew(bench.engine, claim, progress=5)
    assert now(bench, analysis_id).completed == 5
    bench.commit(claim)
    assert now(bench, analysis_id).completed == 8
    quarantine(bench.engine, bench.claim(), error={"code": "x", "detail": "y"})
    assert now(bench, analysis_id) == Progress("sampling", 8, 16)


def test_a_split_counts_once_and_a_lost_attempt_not_at_all(bench):
    analysis_id = bench.started(bench.sample(0))
    for _ in range(2):
        claim = bench.claim()
        renew(bench.engine, claim, progress=7)
        record_crash(bench.engine, claim, detail="signal 9")
        assert now(bench, analysis_id) == Progress("planning", 0, 8)


def test_usage_is_the_sum_over_committed_shards(bench):
    analysis_id = bench.started(bench.sample(0), bench.sample(1), bench.sample(2))
    bench.commit(bench.claim(), samples=8, sampled_tokens=30, engine_seconds=0.5)
    bench.commit(bench.claim(), samples=8, scored_tokens=2, cached_samples=1, engine_seconds=0.25)
    bench.claim()
    with read(bench.engine) as conn:
        assert usage(conn, analysis_id) == {
            "samples": 16,
            "sampled_tokens": 30,
            "scored_tokens": 2,
            "cached_samples": 1,
            "engine_seconds": 0.75,
        }
        assert usage(conn, bench.submit())["engine_seconds"] == 0.0
