"""How far an analysis is and what it cost: always counted, never kept."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Float, and_, bindparam, case, func, or_, select
from sqlalchemy import cast as sql_cast

from ledger.states import DRAWING_WORKS, ShardState
from ledger.tables import analyses, shards

COUNTS: Final = ("samples", "sampled_tokens", "scored_tokens", "cached_samples")


_DROPPED: Final = (ShardState.CANCELLED.value, ShardState.EXPIRED.value)
_ROWS: Final = case(
    (shards.c.state == ShardState.DONE.value, func.coalesce(shards.c.n_rows, 0)),
    (shards.c.state == ShardState.RUNNING.value, shards.c.progress),
    else_=0,
)
_COUNTED: Final = and_(
    shards.c.analysis_id == analyses.c.id,
    shards.c.work.in_([work.value for work in DRAWING_WORKS]),
    shards.c.state != ShardState.SPLIT.value,
    # Of the plan as it stands: what was dropped before an extension is in the new one.
    or_(
        analyses.c.extended_at.is_(None),
        shards.c.state.not_in(_DROPPED),
        shards.c.created_at >= analyses.c.extended_at,
    ),
)
# Made once: every answer about an analysis counts anew, and making a statement takes longer than running it.
_PROGRESS: Final = (
    select(
        analyses.c.phase,
        func.coalesce(func.sum(_ROWS), 0),
        func.coalesce(func.sum(shards.c.planned_rows), 0),
    )
    .select_from(analyses.outerjoin(shards, _COUNTED))
    .where(analyses.c.id == bindparam("of"))
    .group_by(analyses.c.phase)
)
_USAGE: Final = select(
    *(func.sum(shards.c.usage[name].as_integer()) for name in COUNTS),
    func.sum(sql_cast(shards.c.usage["engine_seconds"].as_float(), Float)),
).where(shards.c.analysis_id == bindparam("of"))


@dataclass(frozen=True, slots=True)
class Progress:
    """Rows of the rounds opened so far.

    Attributes:
        phase: Phase of the analysis.
        completed: Rows committed or reported by running shards.
        total: Rows planned; it grows when a round opens.
    """

    phase: str
    completed: int
    total: int


def progress(conn: Connection, analysis_id: str) -> Progress:
    """How far the sample, verify and score shards of an analysis are.

    A shard that was split counts through its halves. Rows that were given up stay in the total, but what
    was left undone before the analysis was extended is planned anew.
    """
    phase, completed, total = conn.execute(_PROGRESS, {"of": analysis_id}).one()
    return Progress(phase=phase, completed=int(completed), total=int(total))


def rows_before(conn: Connection, analysis_id: str, moment: int) -> int:
    """Rows that were committed before a moment, in microseconds."""
    rows = select(func.coalesce(func.sum(shards.c.n_rows), 0)).where(
        shards.c.analysis_id == analysis_id,
        shards.c.work.in_([work.value for work in DRAWING_WORKS]),
        shards.c.state == ShardState.DONE.value,
        shards.c.finished_at < moment,
    )
    return int(conn.execute(rows).scalar_one())


def drawn_tokens(conn: Connection, analysis_id: str) -> int:
    """Tokens of all samples of an analysis, found or drawn: a budget must not depend on what was found."""
    counts = [func.sum(shards.c.usage[name].as_integer()) for name in ("sampled_tokens", "cached_tokens")]
    row = conn.execute(select(*counts).where(shards.c.analysis_id == analysis_id)).one()
    return sum(int(count or 0) for count in row)


def usage(conn: Connection, analysis_id: str) -> dict[str, Any]:
    """What the committed shards of an analysis cost, and the one that failed it.

    Returns:
        ``samples``, ``sampled_tokens``, ``scored_tokens``, ``cached_samples`` (counts) and
        ``engine_seconds``.
    """
    row = conn.execute(_USAGE, {"of": analysis_id}).one()
    totals: dict[str, Any] = {name: int(count or 0) for name, count in zip(COUNTS, row, strict=False)}
    return totals | {"engine_seconds": float(row[-1] or 0.0)}
