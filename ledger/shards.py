"""Shards: the unit of work, its round, and what one may read of the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, and_, func, insert, select

from ledger.clock import now_us
from ledger.errors import InvalidRound
from ledger.ids import new_id
from ledger.states import ShardState, Work
from ledger.tables import shards

PLAN_IDX: Final = -1


@dataclass(frozen=True, slots=True)
class Claim:
    """A lease on a shard.

    Attributes:
        shard: The shard's row as it was claimed.
        epoch: The fencing token: higher at every claim of this shard.
        analysis: The analysis's row as it was then.
    """

    shard: dict[str, Any]
    epoch: int
    analysis: dict[str, Any]


def held_by(claim: Claim) -> ColumnElement[bool]:
    """The fence: true only for the claim's shard at the claim's epoch."""
    return and_(shards.c.id == claim.shard["id"], shards.c.epoch == claim.epoch)


def insert_round(
    conn: Connection, analysis: Mapping[str, Any], round: int, planned: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Insert the READY shards of a round.

    Args:
        conn: A writing transaction that holds the analysis's lock.
        analysis: Its row, or at least ``id`` and ``tenant_id``.
        round: Number of the round.
        planned: Shards as mappings: ``idx``, ``work``, ``stream``, ``scorer``, ``items``,
            ``planned_rows``, ``depends_on``, ``model_keys``; left out, a key is null or empty, and
            ``planned_rows`` is the number of samples in ``items``. ``depends_on`` is the ``idx`` or
            the ``id`` of a sample shard of this list, or the id of an older one. Every ``id`` here
            only names the shard within the list: the ledger makes its own.

    Returns:
        The new ids, in the order given.

    Raises:
        InvalidRound: if two shards share an index, a work is unknown or misplaced, or a dependency
            is not a sample shard that holds the dependant's items.
    """
    if not planned:
        raise InvalidRound("a round needs a shard")
    now = now_us(conn)
    rows = [_row(analysis, round, shard, now) for shard in planned]
    if len({row["idx"] for row in rows}) < len(rows):
        raise InvalidRound("two shards of a round share an index")
    if any(row["work"] == Work.FINALISE for row in rows) and len(rows) > 1:
        raise InvalidRound("a finalise shard is a round of its own")
    _resolve_dependencies(conn, analysis, planned, rows)
    # A self-referencing key is checked row by row: what is depended upon goes first.
    conn.execute(insert(shards), sorted(rows, key=lambda row: row["depends_on"] is not None))
    return [row["id"] for row in rows]


def insert_plan(conn: Connection, analysis: Mapping[str, Any], round: int) -> str:
    """Insert the one plan shard of a round; the index makes a second one impossible."""
    return insert_round(conn, analysis, round, [{"idx": PLAN_IDX, "work": Work.PLAN}])[0]


def close_round(conn: Connection, analysis: Row[Any]) -> None:
    """Insert the plan shard that follows a round.

    To be called under the analysis's lock with nothing of it open: a planned or finalised round would have
    opened something.
    """
    insert_plan(conn, analysis._asdict(), last_round(conn, analysis.id))


def insert_finalise(conn: Connection, analysis: Mapping[str, Any]) -> str:
    """Insert a finalise shard after the last round."""
    number = last_round(conn, analysis["id"]) + 1
    return insert_round(conn, analysis, number, [{"idx": 0, "work": Work.FINALISE}])[0]


def last_round(conn: Connection, analysis_id: str) -> int:
    """Number of the newest round."""
    newest = conn.execute(select(func.max(shards.c.round)).where(shards.c.analysis_id == analysis_id))
    return int(newest.scalar_one())


def inputs_for(conn: Connection, shard: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The committed artefacts a shard may read, by round and index.

    A plan or finalise shard reads all of its analysis, a verify or score shard the samples it
    depends on, a sample shard nothing. After a split a verify or score shard can hold fewer items
    than the samples it reads.
    """
    query = select(shards).where(shards.c.state == ShardState.DONE.value, shards.c.artefact_key.is_not(None))
    if shard["work"] in (Work.PLAN, Work.FINALISE):
        query = query.where(shards.c.analysis_id == shard["analysis_id"])
    elif shard["depends_on"] is not None:
        query = query.where(shards.c.id == shard["depends_on"])
    else:
        return []
    return [
        {
            "shard_id": row.id,
            "work": row.work,
            "stream": row.stream,
            "scorer": row.scorer,
            "round": row.round,
            "items": row.items,
            "artefact_key": row.artefact_key,
            "sha256": row.artefact_sha256,
            "n_rows": row.n_rows,
        }
        for row in conn.execute(query.order_by(shards.c.round, shards.c.idx))
    ]


def failures_for(conn: Connection, analysis_id: str) -> list[dict[str, Any]]:
    """The quarantined shards of an analysis and why, by round and index."""
    query = (
        select(shards)
        .where(shards.c.analysis_id == analysis_id, shards.c.state == ShardState.QUARANTINED.value)
        .order_by(shards.c.round, shards.c.idx)
    )
    return [
        {
            "shard_id": row.id,
            "work": row.work,
            "stream": row.stream,
            "scorer": row.scorer,
            "items": row.items,
            "code": (row.error or {}).get("code", "quarantined"),
            "detail": (row.error or {}).get("detail", ""),
        }
        for row in conn.execute(query)
    ]


def count_samples(items: Sequence[Sequence[int]]) -> int:
    """Samples that items ``[prompt_index, lo, hi]`` span."""
    return sum(hi - lo for _, lo, hi in items)


def contains(items: Sequence[Sequence[int]], item: Sequence[int]) -> bool:
    """Whether one of ``items`` spans the whole of ``item``."""
    prompt, lo, hi = item
    return any(prompt == index and start <= lo and hi <= end for index, start, end in items)


def _row(analysis: Mapping[str, Any], round: int, shard: Mapping[str, Any], now: int) -> dict[str, Any]:
    try:
        work = Work(shard["work"])
    except ValueError as error:
        raise InvalidRound(f"no such work: {shard['work']}") from error
    if (work is Work.PLAN) != (shard["idx"] == PLAN_IDX) or shard["idx"] < PLAN_IDX:
        raise InvalidRound(f"index {shard['idx']} is not for a {work} shard")
    items = [list(item) for item in shard.get("items") or ()]
    planned_rows = shard.get("planned_rows")
    return {
        "id": new_id("shd"),
        "tenant_id": analysis["tenant_id"],
        "analysis_id": analysis["id"],
        "round": round,
        "idx": shard["idx"],
        "work": work.value,
        "stream": shard.get("stream"),
        "scorer": shard.get("scorer"),
        "items": items,
        "planned_rows": count_samples(items) if planned_rows is None else planned_rows,
        "depends_on": None,
        "model_keys": list(shard.get("model_keys") or ()),
        "wants": ",".join(sorted(set(shard.get("model_keys") or ()))),
        "state": ShardState.READY.value,
        "blocked": False,
        "created_at": now,
    }


def _resolve_dependencies(
    conn: Connection,
    analysis: Mapping[str, Any],
    planned: Sequence[Mapping[str, Any]],
    rows: Sequence[dict[str, Any]],
) -> None:
    named: dict[int | str, Mapping[str, Any]] = {row["idx"]: row for row in rows}
    named |= {shard["id"]: row for shard, row in zip(planned, rows, strict=True) if shard.get("id")}
    for shard, row in zip(planned, rows, strict=True):
        wanted = shard.get("depends_on")
        if wanted is None:
            continue
        source = named.get(wanted) or _older_shard(conn, analysis["id"], str(wanted))
        if source is None or source["work"] != Work.SAMPLE or row["work"] not in (Work.VERIFY, Work.SCORE):
            raise InvalidRound(f"a {row['work']} shard cannot depend on {wanted}")
        if not all(contains(source["items"], item) for item in row["items"]):
            raise InvalidRound(f"{wanted} does not draw every sample of the {row['work']} shard")
        row["depends_on"] = source["id"]
        row["blocked"] = source["state"] != ShardState.DONE


def _older_shard(conn: Connection, analysis_id: str, shard_id: str) -> Mapping[str, Any] | None:
    found = conn.execute(select(shards).where(shards.c.id == shard_id, shards.c.analysis_id == analysis_id))
    row = found.one_or_none()
    return None if row is None else row._asdict()
