"""How far an analysis is and what it cost: always counted, never kept."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Float, case, func, or_, select, true
from sqlalchemy import cast as sql_cast

from ledger.states import DRAWING_WORKS, ShardState
from ledger.tables import analyses, shards

COUNTS: Final = ("samples", "sampled_tokens", "scored_tokens", "cached_samples")


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
    analysis = select(analyses.c.phase, analyses.c.extended_at).where(analyses.c.id == analysis_id)
    phase, extended_at = conn.execute(analysis).one()
    rows = case(
        (shards.c.state == ShardState.DONE.value, func.coalesce(shards.c.n_rows, 0)),
        (shards.c.state == ShardState.RUNNING.value, shards.c.progress),
        else_=0,
    )
    counts = conn.execute(
        select(func.coalesce(func.sum(rows), 0), func.coalesce(func.sum(shards.c.planned_rows), 0)).where(
            shards.c.analysis_id == analysis_id,
            shards.c.work.in_([work.value for work in DRAWING_WORKS]),
            shards.c.state != ShardState.SPLIT.value,
            _is_planned(extended_at),
        )
    ).one()
    return Progress(phase=phase, completed=int(counts[0]), total=int(counts[1]))


def rows_before(conn: Connection, analysis_id: str, moment: int) -> int:
    """Rows that were committed before a moment, in microseconds."""
    rows = select(func.coalesce(func.sum(shards.c.n_rows), 0)).where(
        shards.c.analysis_id == analysis_id,
        shards.c.work.in_([work.value for work in DRAWING_WORKS]),
        shards.c.state == ShardState.DONE.value,
        shards.c.finished_at < moment,
    )
    return int(conn.execute(rows).scalar_one())


def _is_planned(extended_at: int | None) -> ColumnElement[bool]:
    """Whether a shard is of the plan as it stands: none that was dropped before an extension."""
    if extended_at is None:
        return true()
    dropped = [ShardState.CANCELLED.value, ShardState.EXPIRED.value]
    return or_(shards.c.state.not_in(dropped), shards.c.created_at >= extended_at)


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
    spent = [func.sum(shards.c.usage[name].as_integer()) for name in COUNTS]
    seconds = func.sum(sql_cast(shards.c.usage["engine_seconds"].as_float(), Float))
    row = conn.execute(select(*spent, seconds).where(shards.c.analysis_id == analysis_id)).one()
    totals: dict[str, Any] = {name: int(count or 0) for name, count in zip(COUNTS, row, strict=False)}
    return totals | {"engine_seconds": float(row[-1] or 0.0)}
