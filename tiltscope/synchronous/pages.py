# Generated from tiltscope/asynchronous by `make openapi`: change that, not this file.
"""Lists of the service, page after page."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from tiltscope import tables
from tiltscope.connection import Call
from tiltscope.synchronous.transport import Transport

T = TypeVar("T", bound=BaseModel)
LARGEST_PAGE = 100


class Pages(Generic[T]):
    """A list as an iterator: pages are fetched as they are needed.

    Args:
        transport: The service.
        call: The first page.
        page: Type of a page `{data, has_more, next_cursor}`.
        items: What a page has.
        limit: Stop after so many items; None takes all.
        paged: Whether the list takes `limit` and `after`.
    """

    def __init__(
        self,
        transport: Transport,
        call: Call,
        page: type[BaseModel],
        items: Callable[[Any], list[T]],
        limit: int | None = None,
        *,
        paged: bool = True,
    ) -> None:
        self._transport = transport
        self._call = call
        self._page = page
        self._items = items
        self._limit = limit
        self._paged = paged

    def __iter__(self) -> Iterator[T]:
        left = self._limit
        call = self._call
        while left is None or left > 0:
            if self._paged:
                size = LARGEST_PAGE if left is None else min(left, LARGEST_PAGE)
                call = replace(call, params={**call.params, "limit": size})
            page: Any = self._transport.document(call, self._page)
            yield from self._items(page)
            left = None if left is None else left - len(page.data)
            if not page.has_more:
                return
            call = replace(call, params={**call.params, "after": page.next_cursor})

    def all(self) -> list[T]:
        """Every item."""
        return list(self)

    def to_pandas(self) -> Any:
        """A pandas DataFrame, one row an item, nested fields as `outer.inner` columns.

        Raises:
            SetupError: pandas is not installed.
        """
        return tables.to_pandas(tables.flat(self.all()))

    def to_polars(self) -> Any:
        """A polars DataFrame, one row an item, nested fields as `outer.inner` columns.

        Raises:
            SetupError: polars is not installed.
        """
        return tables.to_polars(tables.flat(self.all()))
