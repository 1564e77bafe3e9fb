"""Opaque page cursors: where a page ended, bound to the list it belongs to."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from api_schemas.problems import FieldProblem
from service.errors import ValidationFailed

MAX_CURSOR_CHARACTERS = 1_000
"""Longer than any cursor made here."""


def encode(position: Sequence[str | int], listing: Mapping[str, Any]) -> str:
    """A cursor after `position` of the list that `listing` (route, filters, order) describes.

    It is not signed: it holds only a position, and every query it enters is bound to the caller's tenant.
    """
    text = json.dumps([_fingerprint(listing), *position], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(cursor: str | None, listing: Mapping[str, Any], types: Sequence[type]) -> tuple[Any, ...] | None:
    """The position in a cursor, or None without one.

    Args:
        cursor: What the caller sent as `after`.
        listing: The list it asks for now.
        types: Types of the position's parts.

    Raises:
        ValidationFailed: not a cursor, or one of another list.
    """
    if cursor is None:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        fingerprint, *position = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, TypeError, RecursionError) as error:
        raise _invalid("this is not a cursor; take `next_cursor` of the page before as it is") from error
    if [type(part) for part in position] != list(types) or any(_is_beyond_sql(part) for part in position):
        raise _invalid("this is not a cursor of this list")
    if fingerprint != _fingerprint(listing):
        raise _invalid("this cursor belongs to another list; keep filters and order while paging")
    return tuple(position)


def _fingerprint(listing: Mapping[str, Any]) -> str:
    canonical = json.dumps(listing, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _is_beyond_sql(part: str | int) -> bool:
    return abs(part) >= 2**63 if isinstance(part, int) else "\0" in part


def _invalid(detail: str) -> ValidationFailed:
    fault = FieldProblem(detail=detail, parameter="after")
    return ValidationFailed(detail, code="invalid_cursor", errors=[fault])
