"""Reading the audit log."""

from typing import Final

from api_schemas.audit import AuditEntry, AuditLog
from ledger import audit
from ledger.database import read
from service.cursors import decode, encode
from service.resources import Resources
from service.timestamps import timestamp

_LISTING: Final = {"route": "audit_list"}


def list_page(resources: Resources, *, limit: int, after: str | None) -> AuditLog:
    """A page of the tenant's entries, newest first.

    Raises:
        ValidationFailed: `after` is no cursor of this list.
    """
    position = decode(after, _LISTING, (int, str))
    with read(resources.engine) as conn:
        rows = audit.list_page(conn, resources.tenant, limit=limit + 1, after=position)
    page = rows[:limit]
    entries = [
        AuditEntry(
            id=row.id,
            object="audit_entry",
            actor=row.actor,
            action=row.action,
            target=row.target,
            status=row.status,
            request_id=row.request_id,
            created_at=timestamp(row.created_at),
        )
        for row in page
    ]
    has_more = len(rows) > limit
    cursor = encode((page[-1].created_at, page[-1].id), _LISTING) if has_more else None
    return AuditLog(object="list", data=entries, has_more=has_more, next_cursor=cursor)
