"""The only statements that change a state: conditional updates along the tables of ledger.states."""

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Text, Update, bindparam, select, update

from ledger.errors import IllegalTransition
from ledger.states import ANALYSIS_TRANSITIONS, SHARD_TRANSITIONS, AnalysisStatus, ShardState
from ledger.tables import analyses, shards

_BY_ID: Final = select(analyses).where(analyses.c.id == bindparam("locked_id", type_=Text))
_LOCKS: Final = {skips: _BY_ID.with_for_update(skip_locked=skips) for skips in (False, True)}


def lock_analysis(conn: Connection, analysis_id: str, *, skip_locked: bool = False) -> Row[Any] | None:
    """The analysis, locked until the transaction ends; None if there is no such row.

    With ``skip_locked`` (PostgreSQL) also None if another transaction holds it.

    Every verb that moves shards of an analysis takes this lock first, so that two of them never
    wait for each other in a ring. SQLite holds its one write lock already.
    """
    return conn.execute(_LOCKS[skip_locked], {"locked_id": analysis_id}).one_or_none()


def move_shards(
    conn: Connection,
    where: ColumnElement[bool],
    *,
    sources: Collection[ShardState],
    target: ShardState,
    **values: Any,
) -> list[str]:
    """Move the shards that are still in one of ``sources``, and say which those were.

    Args:
        conn: A writing transaction.
        where: Which shards; an epoch belongs here.
        sources: States they may be in.
        target: State they get.
        values: Further columns to set.

    Returns:
        Ids of the rows that changed. One that is missing had moved already.

    Raises:
        IllegalTransition: if the table has no edge from a source to the target.
    """
    moved = conn.execute(_move(where, sources, target, values).returning(shards.c.id))
    return list(moved.scalars())


def move_shard(
    conn: Connection,
    where: ColumnElement[bool],
    *,
    sources: Collection[ShardState],
    target: ShardState,
    **values: Any,
) -> Row[Any] | None:
    """As `move_shards`, of one shard: its row as it now is, None if it had moved already."""
    return conn.execute(_move(where, sources, target, values).returning(shards)).one_or_none()


def _move(
    where: ColumnElement[bool], sources: Collection[ShardState], target: ShardState, values: dict[str, Any]
) -> Update:
    for source in sources:
        if target not in SHARD_TRANSITIONS[source]:
            raise IllegalTransition(f"no shard goes from {source} to {target}")
    if target is not ShardState.RUNNING:
        values = {"lease_until": None, **values}
    return (
        update(shards)
        .where(where, shards.c.state.in_([source.value for source in sources]))
        .values(state=target.value, **values)
    )


def move_analysis(conn: Connection, analysis_id: str, target: AnalysisStatus, **values: Any) -> bool:
    """Move an analysis to ``target`` if the table allows it from where it stands.

    Returns:
        Whether it moved; a terminal analysis only does to be extended.
    """
    sources = [source.value for source, exits in ANALYSIS_TRANSITIONS.items() if target in exits]
    moved = conn.execute(
        update(analyses)
        .where(analyses.c.id == analysis_id, analyses.c.status.in_(sources))
        .values(status=target.value, version=analyses.c.version + 1, **values)
    )
    return moved.rowcount == 1


def touch_analysis(conn: Connection, analysis_id: str, **values: Any) -> None:
    """Set columns other than the status; a change clients can see raises ``version``."""
    conn.execute(
        update(analyses).where(analyses.c.id == analysis_id).values(version=analyses.c.version + 1, **values)
    )
