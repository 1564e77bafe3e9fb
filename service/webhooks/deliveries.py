"""What became of the messages to a webhook."""

from typing import Any

from sqlalchemy import Row

from api_schemas.webhooks import TEST_EVENT, WebhookDelivery, WebhookDeliveryList
from ledger import outbox
from ledger.database import read
from service.cursors import decode, encode
from service.resources import Resources
from service.timestamps import timestamp
from service.webhooks.manage import find


def list_page(resources: Resources, webhook_id: str, *, limit: int, after: str | None) -> WebhookDeliveryList:
    """A page of attempts, newest first.

    Raises:
        NotFound: there is no webhook of this id.
        ValidationFailed: `after` is no cursor of this list.
    """
    listing = {"route": "webhooks_deliveries", "webhook": webhook_id}
    with read(resources.engine) as conn:
        find(conn, resources.tenant, webhook_id)
        position = decode(after, listing, (int, str))
        rows = outbox.list_deliveries(conn, resources.tenant, webhook_id, limit=limit + 1, after=position)
    page = rows[:limit]
    has_more = len(rows) > limit
    cursor = encode((page[-1].attempted_at, page[-1].id), listing) if has_more else None
    data = [_represent(row) for row in page]
    return WebhookDeliveryList(object="list", data=data, has_more=has_more, next_cursor=cursor)


def _represent(row: Row[Any]) -> WebhookDelivery:
    return WebhookDelivery(
        id=row.id,
        object="webhook_delivery",
        message_id=row.message_id,
        type=row.kind,
        analysis_id=None if row.kind == TEST_EVENT else row.payload["id"],
        attempt=row.attempt,
        outcome=row.outcome,
        status=row.status,
        error=row.error,
        attempted_at=timestamp(row.attempted_at),
        next_attempt_at=None if row.next_at is None else timestamp(row.next_at),
    )
