"""Following an analysis event by event."""

import json
from dataclasses import dataclass
from typing import Final

from api_schemas.analyses import LIVE
from ledger import analyses, events
from ledger.database import read
from service.analyses.read import find
from service.resources import Resources

ENDED_BEFORE: Final = "ended"
"""The `done` of an earlier revision, once the analysis was extended."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `data` is its body as JSON."""

    id: int
    type: str
    data: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Events in order, and whether more can come."""

    events: list[Event]
    is_last: bool


def next_batch(resources: Resources, analysis_id: str, after: int) -> Batch:
    """Events numbered above `after`; the last batch of an analysis that has ended or is gone says so."""
    limit = resources.settings.event_batch
    with read(resources.engine) as conn:
        row = analyses.get(conn, resources.tenant, analysis_id)
        rows = events.after(conn, resources.tenant, analysis_id, after, limit)
    newest = rows[-1].seq if row is None and rows else getattr(row, "event_seq", 0)
    found = [
        Event(
            event.seq,
            # Only the last end is one; those before it are history, at which a stream must not stop.
            ENDED_BEFORE if event.type == "done" and event.seq < newest else event.type,
            json.dumps(event.body, separators=(",", ":"), allow_nan=False),
        )
        for event in rows
    ]
    return Batch(found, is_last=len(found) < limit and (row is None or row.status not in LIVE))


def has_more(resources: Resources, analysis_id: str, after: int) -> bool:
    """Whether there are events above `after`, now or later.

    Raises:
        NotFound: there is no such analysis.
    """
    with read(resources.engine) as conn:
        row = find(conn, resources.tenant, analysis_id)
    return row.status in LIVE or row.event_seq > after
