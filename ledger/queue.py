"""Which shard comes next: fairness, rounds and resident models.

A claim looks at a few analyses and, in each, at the first shard of every kind of work that waits there.
Both come from an index, so it costs the same whether ten shards wait or ten thousand.
"""

from collections.abc import Collection, Iterator, Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Select,
    Text,
    and_,
    bindparam,
    exists,
    false,
    func,
    or_,
    select,
)
from sqlalchemy.sql.elements import KeyedColumnElement

from ledger.clock import microseconds
from ledger.states import LIVE_STATUSES, AnalysisStatus, ShardState, Work
from ledger.tables import analyses, shards

CONSIDERED: Final = 16
"""Analyses a claim looks into, the most deserving first: models are shared among few at a time."""

STEAL_SECONDS: Final = 5.0
"""How long an analysis may wait while workers prefer those whose models they have loaded: a few loads of a
small model. Then its turn counts as if its models were loaded too."""

_GOING_ON: Final = (AnalysisStatus.QUEUED.value, AnalysisStatus.RUNNING.value)
_ENDING: Final = (AnalysisStatus.RUNNING.value, AnalysisStatus.CANCELLING.value)
_COUNTED: Final = (Work.PLAN.value, Work.FINALISE.value)

Time = int | BindParameter[int]
"""Microseconds, the database's clock; a parameter in statements that are built once: a claim needs several,
and building one takes longer than running it."""

_NOW: Final[BindParameter[int]] = bindparam("now", type_=BigInteger)

waiting: Final = shards.join(analyses, shards.c.analysis_id == analyses.c.id)
"""Shards beside their analysis: what `claimable` speaks of."""


def claimable(now: int) -> ColumnElement[bool]:
    """Whether a row of `waiting` may be claimed at ``now`` (microseconds, the database's clock).

    An analysis that ends early still runs its finalise shard, after its deadline too.
    """
    return and_(_ready(now), or_(_goes_on(now), and_(_ends(), shards.c.work == Work.FINALISE.value)))


def deserving(
    conn: Connection, now: int, *, works: Collection[str], resident: Collection[str]
) -> Sequence[Row[Any]]:
    """Analyses with a shard to claim, the one to serve next first.

    In order: the tenant with the fewest running shards; priority; the analysis with the fewest running
    shards; planning and finalising; fewest models to load, unless the analysis has waited for
    `STEAL_SECONDS`; the tenant, then the analysis, served least recently.

    Args:
        conn: A transaction.
        now: The database's time.
        works: Works the claimer does.
        resident: Weights digests it has loaded.

    Returns:
        Rows with ``id``, at most `CONSIDERED`.
    """
    wanted = tuple(sorted(works))
    found = conn.execute(_ranked(wanted), {"now": now}).all()
    if len(found) < 2 or not resident:
        return found
    late = now - microseconds(STEAL_SECONDS)

    def place(row: Row[Any]) -> tuple[Any, ...]:
        waited = max(row.claimed_at, row.created_at) < late
        missing = 0 if waited or row.plans else _fewest_missing(conn, now, row.id, wanted, resident)
        peers = (row.tenant_running, -row.priority, row.running, not row.plans)
        return (*peers, missing, row.tenant_served, row.claimed_at, row.created_at, row.id)

    return sorted(found, key=place)


@cache
def _ranked(works: tuple[str, ...]) -> Select[Any]:
    """Analyses with a shard of these works to claim, in order, as far as SQL can tell."""
    of_tenant, of_analysis = _running_by(shards.c.tenant_id), _running_by(shards.c.analysis_id)
    others = analyses.alias("others")
    served = (
        select(func.max(others.c.claimed_at))
        .where(others.c.tenant_id == analyses.c.tenant_id)
        .scalar_subquery()
    )
    query = (
        select(
            analyses.c.id,
            analyses.c.claimed_at,
            analyses.c.created_at,
            func.coalesce(of_tenant.c.running, 0).label("tenant_running"),
            analyses.c.priority,
            func.coalesce(of_analysis.c.running, 0).label("running"),
            _has_ready(_NOW, [work for work in _COUNTED if work in works]).label("plans"),
            served.label("tenant_served"),
        )
        .select_from(
            analyses.outerjoin(of_tenant, of_tenant.c.tenant_id == analyses.c.tenant_id).outerjoin(
                of_analysis, of_analysis.c.analysis_id == analyses.c.id
            )
        )
        .where(
            analyses.c.status.in_([status.value for status in LIVE_STATUSES]),
            or_(
                and_(_goes_on(_NOW), _has_ready(_NOW, works)),
                and_(_ends(), _has_ready(_NOW, [work for work in works if work == Work.FINALISE])),
            ),
        )
    )
    candidates = query.subquery()
    rank = candidates.c
    return (
        select(candidates)
        .order_by(
            rank.tenant_running,
            rank.priority.desc(),
            rank.running,
            rank.plans.desc(),
            rank.tenant_served,
            rank.claimed_at,
            rank.created_at,
            rank.id,
        )
        .limit(CONSIDERED)
    )


def next_shard(
    conn: Connection, now: int, analysis: Row[Any], *, works: Collection[str], resident: Collection[str]
) -> Row[Any] | None:
    """The shard of an analysis to claim: planning first, then fewest crashes, models to load, round, index.

    Args:
        conn: A transaction that holds the analysis's lock.
        now: The database's time.
        analysis: Its row.
        works: Works the claimer does.
        resident: Weights digests it has loaded.

    Returns:
        ``id`` and ``epoch``; None if nothing of it may be claimed.
    """
    told_to_end = analysis.finish_as is not None
    if analysis.status not in LIVE_STATUSES:
        return None
    late = analysis.deadline_at is not None and analysis.deadline_at <= now
    if told_to_end or late or analysis.status == AnalysisStatus.CANCELLING:
        works = [work for work in works if work == Work.FINALISE]

    def place(row: Row[Any]) -> tuple[Any, ...]:
        return (row.work not in _COUNTED, row.crashes, _missing(row, resident), row.round, row.idx)

    return min(_firsts(conn, now, analysis.id, tuple(sorted(works))), key=place, default=None)


def _firsts(conn: Connection, now: int, analysis_id: str, works: tuple[str, ...]) -> Iterator[Row[Any]]:
    """The first READY shard of every work and set of models, each found by a step along the index."""

    def first(work: str, wants: str | None = None) -> Row[Any] | None:
        told = {"now": now, "analysis_id": analysis_id, "work": work}
        told |= {} if wants is None else {"wants": wants}
        return conn.execute(_first(works, wants is not None), told).one_or_none()

    found = first("")
    while found is not None:
        yield found
        found = first(found.work, found.wants) or first(found.work)


@cache
def _first(works: tuple[str, ...], in_work: bool) -> Select[Any]:
    """The first READY shard beyond a work, or beyond a set of models within it."""
    work: BindParameter[str] = bindparam("work", type_=Text)
    # Two single columns rather than one comparison of pairs, for which SQLite reads all equal rows.
    within = and_(shards.c.work == work, shards.c.wants > bindparam("wants", type_=Text))
    columns = [shards.c[name] for name in ("id", "epoch", "work", "wants", "crashes", "round", "idx")]
    query = select(*columns).where(
        shards.c.analysis_id == bindparam("analysis_id", type_=Text),
        _ready(_NOW),
        shards.c.work.in_(works),
        within if in_work else shards.c.work > work,
    )
    order = (shards.c.work, shards.c.wants, shards.c.crashes, shards.c.round, shards.c.idx)
    return query.order_by(*order).limit(1)


def _fewest_missing(
    conn: Connection, now: int, analysis_id: str, works: tuple[str, ...], resident: Collection[str]
) -> int:
    return min((_missing(row, resident) for row in _firsts(conn, now, analysis_id, works)), default=0)


def _missing(row: Row[Any], resident: Collection[str]) -> int:
    return len({key for key in row.wants.split(",") if key} - set(resident))


def _ready(now: Time) -> ColumnElement[bool]:
    return and_(
        shards.c.state == ShardState.READY.value, shards.c.blocked == false(), shards.c.not_before <= now
    )


def _has_ready(now: Time, works: Collection[str]) -> ColumnElement[bool]:
    return exists().where(shards.c.analysis_id == analyses.c.id, _ready(now), shards.c.work.in_(list(works)))


def _goes_on(now: Time) -> ColumnElement[bool]:
    in_time = or_(analyses.c.deadline_at.is_(None), analyses.c.deadline_at > now)
    return and_(analyses.c.status.in_(_GOING_ON), analyses.c.finish_as.is_(None), in_time)


def _ends() -> ColumnElement[bool]:
    return analyses.c.status.in_(_ENDING)


def _running_by(column: KeyedColumnElement[str]) -> FromClause:
    return (
        select(column, func.count().label("running"))
        .where(shards.c.state == ShardState.RUNNING.value)
        .group_by(column)
        .subquery()
    )
