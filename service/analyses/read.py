"""Reading analyses."""

import re
from typing import Any, Final

from sqlalchemy import Connection, Row

from api_schemas.analyses import LIVE, Analysis, AnalysisList
from ledger import analyses, imports
from ledger.database import read
from service.analyses.representation import represent
from service.cursors import decode, encode
from service.errors import NotFound
from service.resources import Resources

ANALYSIS_ID: Final = re.compile(r"[A-Za-z0-9_]{1,64}")


def get(resources: Resources, analysis_id: str) -> Analysis:
    """One analysis.

    Raises:
        NotFound: there is none of this id, or it is somebody else's.
    """
    with read(resources.engine) as conn:
        return represent(conn, find(conn, resources.tenant, analysis_id))


def is_settled(resources: Resources, analysis_id: str) -> bool:
    """Whether an analysis has ended, by having been deleted too."""
    with read(resources.engine) as conn:
        row = analyses.get(conn, resources.tenant, analysis_id)
    return row is None or row.status not in LIVE


def list_page(
    resources: Resources,
    *,
    limit: int,
    after: str | None,
    status: str | None,
    kind: str | None,
    label: tuple[str, str] | None,
) -> AnalysisList:
    """A page of analyses, newest first.

    Raises:
        ValidationFailed: `after` is no cursor of this list.
    """
    listing = {"route": "analyses_list", "status": status, "kind": kind, "label": label}
    position = decode(after, listing, (int, str))
    with read(resources.engine) as conn:
        rows = analyses.list_page(
            conn, resources.tenant, limit=limit + 1, after=position, status=status, kind=kind, label=label
        )
        page = rows[:limit]
        data = [represent(conn, row) for row in page]
    has_more = len(rows) > limit
    cursor = encode((page[-1].created_at, page[-1].id), listing) if has_more else None
    return AnalysisList(object="list", data=data, has_more=has_more, next_cursor=cursor)


def find(conn: Connection, tenant: str, analysis_id: str) -> Row[Any]:
    """The row of an analysis.

    Raises:
        NotFound: there is none of this id, or it is somebody else's.
    """
    well_formed = ANALYSIS_ID.fullmatch(analysis_id)
    row = analyses.get(conn, tenant, analysis_id) if well_formed else None
    if row is None or row.kind == imports.KIND:
        raise no_analysis()
    return row


def no_analysis() -> NotFound:
    """The answer for an id that is unknown or somebody else's: it never repeats what was asked."""
    return NotFound("there is no such analysis", code="analysis_not_found")
