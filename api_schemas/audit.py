"""The audit log: who changed what."""

from typing import Literal

from api_schemas.base import Document


class AuditEntry(Document):
    """One request that may have changed something."""

    id: str
    object: Literal["audit_entry"]
    actor: str
    action: str
    target: str
    status: int
    request_id: str
    created_at: str


class AuditLog(Document):
    """One page of entries, newest first."""

    object: Literal["list"]
    data: list[AuditEntry]
    has_more: bool
    next_cursor: str | None
