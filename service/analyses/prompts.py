"""Paging through what was found about each prompt."""

import json
from collections.abc import Sequence
from typing import Any, Final, Literal, get_args

from api_schemas.results import PromptRowList, Regime
from service.analyses.outcomes import open_outcome
from service.analyses.results import PROMPTS
from service.cursors import decode, encode
from service.resources import Resources
from service.stored_files import StoredFile

Sort = Literal["regime", "gain", "price"]
Order = Literal["asc", "desc"]
REGIMES: Final[tuple[str, ...]] = get_args(Regime)


def prompts_page(
    resources: Resources,
    analysis_id: str,
    *,
    limit: int,
    after: str | None,
    sort: Sort | None,
    order: Order,
    checkpoint: int | None = None,
) -> PromptRowList:
    """A page of prompt rows, in the prompts' order or sorted; rows without a value come last.

    Regimes sort in the order in which the contract lists them, gains and prices by value; a price known
    only from below sorts by its bound. A trajectory has a row of each prompt for every checkpoint;
    `checkpoint` keeps one's.

    Raises:
        NotFound: there is no such analysis.
        Conflict: it has no result, yet or for good.
        ValidationFailed: `after` is no cursor of this list.
    """
    stored = open_outcome(resources, analysis_id, PROMPTS)
    listing = {
        "route": "prompts",
        "rows": stored.sha256,
        "sort": sort,
        "order": order,
        "checkpoint": checkpoint,
    }
    position = decode(after, listing, (int,))
    rows = _rows(stored, sort, order, checkpoint)
    start = max(position[0], 0) if position else 0
    end = start + limit
    has_more = end < len(rows)
    cursor = encode((end,), listing) if has_more else None
    return PromptRowList(object="list", data=rows[start:end], has_more=has_more, next_cursor=cursor)


def prompts_table(
    resources: Resources,
    analysis_id: str,
    *,
    sort: Sort | None,
    order: Order,
    checkpoint: int | None = None,
) -> tuple[str, list[dict[str, Any]]]:
    """Every row, in the same order, and the hash that names them.

    Raises:
        NotFound: there is no such analysis.
        Conflict: it has no result, yet or for good.
    """
    stored = open_outcome(resources, analysis_id, PROMPTS)
    return stored.sha256, _rows(stored, sort, order, checkpoint)


def _rows(
    stored: StoredFile, sort: Sort | None, order: Order, checkpoint: int | None
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(stored.path.read_bytes())
    if checkpoint is not None:
        rows = [row for row in rows if row.get("checkpoint") == checkpoint]
    return rows if sort is None else _sorted(rows, sort, descending=order == "desc")


def _sorted(rows: Sequence[dict[str, Any]], sort: Sort, *, descending: bool) -> list[dict[str, Any]]:
    keys = [_key(row, sort) for row in rows]
    known = [index for index, key in enumerate(keys) if key is not None]
    unknown = [index for index, key in enumerate(keys) if key is None]
    sign = -1.0 if descending else 1.0
    known.sort(key=lambda index: sign * (keys[index] or 0.0))
    return [rows[index] for index in (*known, *unknown)]


def _key(row: dict[str, Any], sort: Sort) -> float | None:
    if sort == "regime":
        return float(REGIMES.index(row["regime"])) if row.get("regime") in REGIMES else None
    estimate = row.get("gain") if sort == "gain" else row["reference"]["price"]
    if estimate is None:
        return None
    value: float | None = estimate["value"] if estimate["value"] is not None else estimate["ci_low"]
    return value
