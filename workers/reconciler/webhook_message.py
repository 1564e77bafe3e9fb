"""A message as it goes over the wire: the bytes that are signed, and the headers that sign them."""

from collections.abc import Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook

from api_schemas.analyses import Links
from api_schemas.webhooks import TEST_EVENT, EndedAnalysis, TestedWebhook, WebhookPayload
from ledger.outbox import Message


def body_of(message: Message) -> bytes:
    """The body: the same bytes at every attempt."""
    data: EndedAnalysis | TestedWebhook
    if message.kind == TEST_EVENT:
        data = TestedWebhook(id=message.webhook_id, object="webhook")
    else:
        links = Links.of(message.payload["id"])
        told = message.payload
        # A message written before analyses had revisions waits for delivery without one.
        first = 1 if told["status"] == "succeeded" or told["partial"] else None
        data = EndedAnalysis(
            object="analysis", links=links, **{"revision": 1, "result_revision": first, **told}
        )
    happened = datetime.fromtimestamp(message.created_at / 1e6, UTC).isoformat(timespec="milliseconds")
    timestamp = happened.replace("+00:00", "Z")
    return WebhookPayload(type=message.kind, timestamp=timestamp, data=data).model_dump_json().encode()


def headers_of(message: Message, body: bytes, secrets: Sequence[str], now: datetime) -> dict[str, str]:
    """Headers after Standard Webhooks, signed anew at every attempt with every secret that is live.

    Args:
        message: What is sent.
        body: Its bytes.
        secrets: `whsec_…`, the newest first.
        now: Time of the attempt, in UTC: receivers refuse what is older than five minutes.
    """
    signatures = [Webhook(secret).sign(message.id, now, body.decode()) for secret in secrets]
    return {
        "Content-Type": "application/json",
        "User-Agent": "Tiltscope-Webhooks/1",
        "webhook-id": message.id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
