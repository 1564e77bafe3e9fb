import itertools

import pytest
from sqlalchemy import insert

from ledger.database import write
from ledger.errors import IllegalTransition
from ledger.ids import new_id
from ledger.states import (
    ANALYSIS_TRANSITIONS,
    LIVE_STATUSES,
    SHARD_TRANSITIONS,
    TERMINAL_STATUSES,
    AnalysisStatus,
    ShardState,
)
from ledger.tables import shards
from ledger.transitions import move_analysis, move_shards


def test_tables_name_every_state():
    assert set(ANALYSIS_TRANSITIONS) == set(AnalysisStatus)
    assert set(SHARD_TRANSITIONS) == set(ShardState)


def test_terminal_statuses():
    assert {str(status) for status in TERMINAL_STATUSES} == {"succeeded", "failed", "cancelled", "expired"}
    assert {str(status) for status in LIVE_STATUSES} == {"queued", "running", "cancelling"}


def test_an_analysis_moves_only_along_the_table(bench):
    analysis_id = bench.submit()
    for source, target in itertools.product(AnalysisStatus, repeat=2):
        bench.set_analysis(analysis_id, status=source, version=1)
        with write(bench.engine) as conn:
            moved = move_analysis(conn, analysis_id, target)
        assert moved == (target in ANALYSIS_TRANSITIONS[source])
        row = bench.analysis(analysis_id)
        assert (row.status, row.version) == ((target, 2) if moved else (source, 1))


def test_a_shard_moves_only_along_the_table(bench):
    analysis_id = bench.submit()
    for source, target in itertools.product(ShardState, repeat=2):
        with write(bench.engine) as conn:
            plan = bench.shards(analysis_id)[0]
            values = plan._asdict() | {"id": new_id("shd"), "state": source.value}
            values["idx"] = 1 + len(bench.shards(analysis_id))
            conn.execute(insert(shards).values(**values))
            chosen = shards.c.id == values["id"]
            if target in SHARD_TRANSITIONS[source]:
                assert move_shards(conn, chosen, sources=[source], target=target) == [values["id"]]
                assert move_shards(conn, chosen, sources=[source], target=target) == []
            else:
                with pytest.raises(IllegalTransition):
                    move_shards(conn, chosen, sources=[source], target=target)
