"""Paging through what was found about each prompt."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from api_schemas.rows import PromptRowList, Regime
from service.analyses.prompt_rows import PromptRows, open_prompt_rows
from service.cursors import decode, encode
from service.resources import Resources

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
    rows = open_prompt_rows(resources, analysis_id)
    listing = {
        "route": "prompts",
        "rows": rows.sha256,
        "sort": sort,
        "order": order,
        "checkpoint": checkpoint,
    }
    position = decode(after, listing, (int,))
    places = _places(rows, sort, order, checkpoint)
    start = max(position[0], 0) if position else 0
    end = start + limit
    has_more = end < len(places)
    cursor = encode((end,), listing) if has_more else None
    data = list(rows.read(places[start:end]))
    return PromptRowList.model_validate(
        {"object": "list", "data": data, "has_more": has_more, "next_cursor": cursor}
    )


@dataclass(frozen=True, slots=True)
class PromptTable:
    """Every row in the order asked for, read anew each time it is gone through.

    Attributes:
        rows: The rows as stored.
        places: Their numbers, in order.
    """

    rows: PromptRows
    places: Sequence[int]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The rows, one in memory at a time."""
        return self.rows.read(self.places)


def prompts_table(
    resources: Resources,
    analysis_id: str,
    *,
    sort: Sort | None,
    order: Order,
    checkpoint: int | None = None,
) -> PromptTable:
    """Every row, in the same order.

    Raises:
        NotFound: there is no such analysis.
        Conflict: it has no result, yet or for good.
    """
    rows = open_prompt_rows(resources, analysis_id)
    return PromptTable(rows, _places(rows, sort, order, checkpoint))


def _places(rows: PromptRows, sort: Sort | None, order: Order, checkpoint: int | None) -> Sequence[int]:
    """Numbers of the rows that are wanted, in the order asked for."""
    places: Sequence[int] = range(len(rows))
    if checkpoint is not None:
        places = [place for place, one in enumerate(rows.column("checkpoint")) if one == checkpoint]
    return places if sort is None else _sorted(places, rows.column(sort), descending=order == "desc")


def _sorted(places: Sequence[int], column: Sequence[Any], *, descending: bool) -> list[int]:
    keys = {place: _key(column[place]) for place in places}
    known = [(place, key) for place, key in keys.items() if key is not None]
    sign = -1.0 if descending else 1.0
    known.sort(key=lambda one: sign * one[1])
    return [*(place for place, _ in known), *(place for place, key in keys.items() if key is None)]


def _key(value: str | float | None) -> float | None:
    """A regime's place in the contract's list, or the number itself."""
    if isinstance(value, str):
        return float(REGIMES.index(value)) if value in REGIMES else None
    return value
