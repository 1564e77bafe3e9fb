"""Which shard comes next: fairness, rounds and resident models as one SQL choice."""

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Select,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.sql.elements import KeyedColumnElement

from ledger.clock import now_us
from ledger.states import AnalysisStatus, ShardState, Work
from ledger.tables import analyses, shards

sources: Final = shards.alias("sources")  # the sample shards that others depend on

waiting: Final = shards.join(analyses, shards.c.analysis_id == analyses.c.id).outerjoin(
    sources, shards.c.depends_on == sources.c.id
)
"""Shards beside their analysis and the shard they depend on: what `claimable` speaks of."""


def claimable(now: int) -> ColumnElement[bool]:
    """Whether a row of `waiting` may be claimed at ``now`` (microseconds, the database's clock).

    An analysis that ends early still runs its finalise shard, after its deadline too.
    """
    in_time = or_(analyses.c.deadline_at.is_(None), analyses.c.deadline_at > now)
    going_on = analyses.c.status.in_([AnalysisStatus.QUEUED.value, AnalysisStatus.RUNNING.value])
    ending = analyses.c.status.in_([AnalysisStatus.RUNNING.value, AnalysisStatus.CANCELLING.value])
    return and_(
        shards.c.state == ShardState.READY.value,
        shards.c.not_before <= now,
        or_(shards.c.depends_on.is_(None), sources.c.state == ShardState.DONE.value),
        or_(
            and_(going_on, analyses.c.finish_as.is_(None), in_time),
            and_(ending, shards.c.work == Work.FINALISE.value),
        ),
    )


def next_candidate(
    conn: Connection, *, works: Collection[str] | None, resident: Collection[str], skip_locked: bool
) -> Row[Any] | None:
    """The shard to claim now, with its analysis locked; None if nothing waits.

    In order: the tenant, then the analysis, with the fewest running shards; priority; planning and
    finalising; shards no engine has died on; fewest models to load; round and index.

    Args:
        conn: A writing transaction.
        works: Works the claimer does; None for all.
        resident: Weights digests it has loaded.
        skip_locked: Pass over analyses that another transaction holds (PostgreSQL).

    Returns:
        ``id``, ``analysis_id`` and ``epoch``.
    """
    of_tenant = _running_by(shards.c.tenant_id)
    of_analysis = _running_by(shards.c.analysis_id)
    query: Select[Any] = (
        select(shards.c.id, shards.c.analysis_id, shards.c.epoch)
        .select_from(
            waiting.outerjoin(of_tenant, of_tenant.c.tenant_id == shards.c.tenant_id).outerjoin(
                of_analysis, of_analysis.c.analysis_id == shards.c.analysis_id
            )
        )
        .where(claimable(now_us(conn)))
        .order_by(
            func.coalesce(of_tenant.c.running, 0),
            func.coalesce(of_analysis.c.running, 0),
            shards.c.priority.desc(),
            case((shards.c.work.in_([Work.PLAN.value, Work.FINALISE.value]), 0), else_=1),
            shards.c.crashes,
            _missing_models(resident),
            shards.c.round,
            shards.c.idx,
            shards.c.id,
        )
        .limit(1)
        .with_for_update(of=analyses, skip_locked=skip_locked)
    )
    if works is not None:
        query = query.where(shards.c.work.in_([str(work) for work in works]))
    return conn.execute(query).one_or_none()


def _running_by(column: KeyedColumnElement[str]) -> FromClause:
    return (
        select(column, func.count().label("running"))
        .where(shards.c.state == ShardState.RUNNING.value)
        .group_by(column)
        .subquery()
    )


def _missing_models(resident: Collection[str]) -> ColumnElement[int]:
    keys = cast(shards.c.model_keys, Text)
    loaded: ColumnElement[int] = literal(0)
    for key in sorted(resident):
        loaded += case((keys.contains(f'"{key}"', autoescape=True), 1), else_=0)
    return func.json_array_length(shards.c.model_keys) - loaded
