"""Making, reading, rotating, testing and removing webhooks."""

import re
from typing import Any, Final

from sqlalchemy import Connection, Row

from api_schemas.webhooks import (
    TEST_EVENT,
    WEBHOOK_ID,
    Webhook,
    WebhookList,
    WebhookMessage,
    WebhookRequest,
    WebhookWithSecret,
)
from ledger import outbox, webhooks
from ledger.clock import now_us
from ledger.database import read, write
from ledger.errors import Conflict as LedgerConflict
from ledger.ids import new_id
from service.cursors import decode, encode
from service.errors import Conflict, NotFound
from service.resources import Resources
from service.timestamps import timestamp
from service.webhooks.secrets import new_secret, seal_of
from service.webhooks.targets import check_url

_LISTING: Final = {"route": "webhooks_list"}


def create(resources: Resources, request: WebhookRequest) -> WebhookWithSecret:
    """Keep a webhook and answer its secret, this once.

    Raises:
        ValidationFailed: its URL is not allowed.
        Conflict: the tenant has as many as it may.
        Unavailable: there is no key to seal the secret with.
    """
    check_url(request.url, resources.settings)
    secret, seal = new_secret(), seal_of(resources.settings)
    most = resources.settings.max_webhooks
    try:
        with write(resources.engine) as conn:
            row = webhooks.create(
                conn,
                tenant_id=resources.tenant,
                webhook_id=new_id("whk"),
                name=request.name,
                url=request.url,
                events=request.events,
                secret=seal.seal(secret),
                most=most,
            )
    except LedgerConflict as error:
        detail = f"there are {most} webhooks already; delete one first"
        raise Conflict(detail, code="too_many_webhooks") from error
    return _with_secret(represent(row, row.created_at), secret)


def get(resources: Resources, webhook_id: str) -> Webhook:
    """One webhook.

    Raises:
        NotFound: there is none of this id.
    """
    with read(resources.engine) as conn:
        return represent(find(conn, resources.tenant, webhook_id), now_us(conn))


def list_page(resources: Resources, *, limit: int, after: str | None) -> WebhookList:
    """A page of webhooks, newest first.

    Raises:
        ValidationFailed: `after` is no cursor of this list.
    """
    position = decode(after, _LISTING, (int, str))
    with read(resources.engine) as conn:
        now = now_us(conn)
        rows = webhooks.list_page(conn, resources.tenant, limit=limit + 1, after=position)
    page = rows[:limit]
    has_more = len(rows) > limit
    cursor = encode((page[-1].created_at, page[-1].id), _LISTING) if has_more else None
    data = [represent(row, now) for row in page]
    return WebhookList(object="list", data=data, has_more=has_more, next_cursor=cursor)


def rotate(resources: Resources, webhook_id: str) -> WebhookWithSecret:
    """Give a webhook a new secret and answer it; the one before signs too for a while.

    Raises:
        NotFound: there is none of this id.
        Unavailable: there is no key to seal the secret with.
    """
    secret = new_secret()
    with write(resources.engine) as conn:
        find(conn, resources.tenant, webhook_id)
        row = webhooks.rotate(
            conn,
            resources.tenant,
            webhook_id,
            secret=seal_of(resources.settings).seal(secret),
            overlap_seconds=resources.settings.webhook_overlap_seconds,
        )
        if row is None:
            raise _not_found()
        return _with_secret(represent(row, now_us(conn)), secret)


def test(resources: Resources, webhook_id: str) -> WebhookMessage:
    """Send a webhook a message that tells of nothing but itself.

    Raises:
        NotFound: there is none of this id.
    """
    with write(resources.engine) as conn:
        find(conn, resources.tenant, webhook_id)
        row = outbox.enqueue(conn, resources.tenant, webhook_id, TEST_EVENT, {"id": webhook_id})
    created_at = timestamp(row.created_at)
    return WebhookMessage(id=row.id, object="webhook_message", type=row.kind, created_at=created_at)


def remove(resources: Resources, webhook_id: str) -> None:
    """Delete a webhook with its log; what it was not told yet, it is not told.

    Raises:
        NotFound: there is none of this id.
    """
    with write(resources.engine) as conn:
        find(conn, resources.tenant, webhook_id)
        webhooks.remove(conn, resources.tenant, webhook_id)


def find(conn: Connection, tenant: str, webhook_id: str) -> Row[Any]:
    """The row of a webhook.

    Raises:
        NotFound: there is none of this id, or it is somebody else's.
    """
    row = webhooks.get(conn, tenant, webhook_id) if re.fullmatch(WEBHOOK_ID, webhook_id) else None
    if row is None:
        raise _not_found()
    return row


def represent(row: Row[Any], now: int) -> Webhook:
    """The webhook object of a row, at a time in microseconds."""
    overlaps = row.old_until is not None and row.old_until > now
    return Webhook(
        id=row.id,
        object="webhook",
        name=row.name,
        url=row.url,
        events=row.events,
        old_secret_until=timestamp(row.old_until) if overlaps else None,
        created_at=timestamp(row.created_at),
    )


def _with_secret(webhook: Webhook, secret: str) -> WebhookWithSecret:
    return WebhookWithSecret(**webhook.model_dump(), secret=secret)


def _not_found() -> NotFound:
    return NotFound("there is no such webhook", code="webhook_not_found")
