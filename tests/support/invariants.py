"""What must hold after any fault: the reliability invariants A to F, checked from outside.

A  every accepted analysis is terminal;
B  each planned sample is there once, or its prompt is listed as failed;
C  the result is byte for byte that of a run without faults;
D  epochs are gap-free, each commit carries the epoch of its last claim, and an analysis ends once;
E  no shard was tried more often than the budgets allow;
F  nothing is left behind: no open shard, no unnamed artefact but those of dead holders, no temporary.
"""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, select

from ledger import analyses as verbs
from ledger.crashes import MAX_CRASHES, MAX_LOSSES
from ledger.database import read
from ledger.retention import collect
from ledger.states import TERMINAL_STATUSES
from ledger.stores import Store
from ledger.tables import attempts, events, shards


@dataclass(frozen=True)
class Tally:
    """What came of the planned samples of some analyses.

    Attributes:
        planned: How many there were to be.
        listed: How many are accounted for as failed.
        lost: Neither there nor accounted for.
        doubled: There more than once.
    """

    planned: int
    listed: int
    lost: int
    doubled: int


def tally(engine: Engine, store: Store, analysis_id: str) -> Tally:
    """Count the samples that committed artefacts hold against those that were planned."""
    with read(engine) as conn:
        analysis = verbs.get(conn, "default", analysis_id)
        rows = conn.execute(select(shards).where(shards.c.analysis_id == analysis_id)).all()
    assert analysis is not None
    script = analysis.spec["script"]
    planned = {(p, i) for p in range(script["prompts"]) for i in range(script["samples"])}
    found: Counter[tuple[int, int]] = Counter()
    for shard in rows:
        if shard.state == "DONE" and shard.work == "sample":
            content = json.loads(store.open_verified(shard.artefact_key, shard.artefact_sha256))
            found.update((row["prompt"], row["index"]) for row in content)
    failed = {int(error["prompt_id"]) for error in analysis.errors}
    listed = {key for key in planned if key[0] in failed and key not in found}
    return Tally(
        planned=len(planned),
        listed=len(listed),
        lost=len(planned - set(found) - listed),
        doubled=sum(count - 1 for count in found.values()),
    )


def check_terminal(engine: Engine, analysis_ids: Sequence[str]) -> None:
    """A, and no open shard (F)."""
    with read(engine) as conn:
        for analysis_id in analysis_ids:
            row = verbs.get(conn, "default", analysis_id)
            assert row is not None
            assert row.status in TERMINAL_STATUSES, (analysis_id, row.status)
            open_ones = select(shards.c.id).where(
                shards.c.analysis_id == analysis_id, shards.c.state.in_(["READY", "RUNNING"])
            )
            assert conn.execute(open_ones).all() == []


def check_result(engine: Engine, store: Store, analysis_id: str, expected: bytes) -> None:
    """B and C."""
    with read(engine) as conn:
        row = verbs.get(conn, "default", analysis_id)
    assert row is not None
    assert row.status == "succeeded", (row.status, row.error)
    stored = row.artifacts["result.json"]
    assert store.open_verified(stored["key"], stored["sha256"]) == expected
    counted = tally(engine, store, analysis_id)
    assert (counted.lost, counted.doubled) == (0, 0)
    assert bool(counted.listed) == row.partial


def check_books(engine: Engine, *, most_tries: int | None = None) -> None:
    """D and E, for every analysis of the ledger."""
    budget = MAX_LOSSES + MAX_CRASHES + 5 if most_tries is None else most_tries
    with read(engine) as conn:
        rows = conn.execute(select(shards)).all()
        tries: dict[str, list[Any]] = {}
        for attempt in conn.execute(select(attempts).order_by(attempts.c.epoch)):
            tries.setdefault(attempt.shard_id, []).append(attempt)
        told: dict[str, list[Any]] = {}
        for event in conn.execute(select(events).order_by(events.c.seq)):
            told.setdefault(event.analysis_id, []).append(event)
    for shard in rows:
        mine = tries.get(shard.id, [])
        assert [a.epoch for a in mine] == list(range(1, shard.epoch + 1))
        done = [a.epoch for a in mine if a.outcome == "done"]
        assert done == ([shard.epoch] if shard.state == "DONE" else [])
        if shard.state != "RUNNING":
            assert all(a.ended_at is not None for a in mine)
        # A drain or a full store gives a shard back for nothing, as often as need be.
        assert sum(a.outcome != "released" for a in mine) <= budget
    for heard in told.values():
        assert [event.seq for event in heard] == list(range(1, len(heard) + 1))
        types = [event.type for event in heard]
        assert types.count("done") <= 1 + types.count("extended")


def check_store(engine: Engine, store: Store, destroyed: Collection[str] = ()) -> None:
    """F: once orphans are old enough, exactly what committed rows name is in the store."""
    collect(engine, store, orphan_seconds=-60.0)
    with read(engine) as conn:
        named = {key for key in conn.execute(select(shards.c.artefact_key)).scalars() if key}
        for artifacts in conn.execute(select(verbs.analyses.c.artifacts)).scalars():
            named |= {stored["key"] for stored in _values(artifacts)}
    assert set(store.keys_older_than(-60.0)) == named - set(destroyed)


def _values(artifacts: Mapping[str, Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return list(artifacts.values())
