"""Jumps of the wall clock move leases, waits and deadlines once, however many look."""

import pytest

from ledger.claims import release
from ledger.clock_marks import follow_clock
from ledger.recovery import enforce_deadlines, expire_leases

HOUR = 3_600_000_000


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_jump_moves_what_is_told_by_the_clock_once(bench, jump):
    analysis_id = bench.started(bench.sample(0), bench.sample(1), deadline_seconds=60.0)
    held, waits = bench.claim(), bench.claim()
    release(bench.engine, waits, reason="busy", penalty=False, not_before_seconds=5.0)
    before = bench.shard(held.shard["id"]), bench.shard(waits.shard["id"]), bench.analysis(analysis_id)
    assert follow_clock(bench.engine, boot="b", offset_us=1000) == 0
    assert follow_clock(bench.engine, boot="b", offset_us=1000 + jump) == jump
    assert follow_clock(bench.engine, boot="b", offset_us=1000 + jump) == 0, "another reconciler looks too"
    after = bench.shard(held.shard["id"]), bench.shard(waits.shard["id"]), bench.analysis(analysis_id)
    assert after[0].lease_until - before[0].lease_until == jump
    assert after[1].not_before - before[1].not_before == jump
    assert after[2].deadline_at - before[2].deadline_at == jump


def test_what_ended_or_has_no_time_stays(bench):
    analysis_id = bench.started()
    bench.commit(bench.claim())
    before = bench.snapshot(analysis_id)
    follow_clock(bench.engine, boot="b", offset_us=0)
    assert follow_clock(bench.engine, boot="b", offset_us=HOUR) == HOUR
    assert bench.snapshot(analysis_id) == before


def test_slewing_moves_nothing_and_is_not_forgotten(bench):
    bench.started()
    follow_clock(bench.engine, boot="b", offset_us=0)
    assert [follow_clock(bench.engine, boot="b", offset_us=n * 400_000) for n in (1, 2, 3)] == [
        0,
        0,
        1_200_000,
    ]


def test_a_restart_of_the_machine_is_no_jump(bench):
    bench.started(deadline_seconds=3600.0)
    bench.claim()
    follow_clock(bench.engine, boot="before", offset_us=0)
    assert follow_clock(bench.engine, boot="after", offset_us=HOUR) == 0
    assert (expire_leases(bench.engine), enforce_deadlines(bench.engine)) == (0, 0)
