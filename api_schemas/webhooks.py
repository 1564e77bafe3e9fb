"""Webhooks: where to be told what ended, what is told, and what became of it."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from api_schemas.analyses import Links, Status
from api_schemas.base import Document
from api_schemas.requests import Kind

WEBHOOK_ID = r"^whk_[0-9A-Za-z]{1,60}$"
EventType = Literal["analysis.succeeded", "analysis.failed", "analysis.cancelled", "analysis.expired"]
TEST_EVENT = "webhook.test"
"""Sent on request alone, whatever the webhook's events."""


def _once(events: list[EventType]) -> list[EventType]:
    if len(set(events)) < len(events):
        raise ValueError("each event once")
    return events


class WebhookRequest(Document):
    """What is needed to be told."""

    url: Annotated[
        str,
        StringConstraints(pattern=r"^https?://[^\s]+$", max_length=2_000),
        Field(
            description="Where to POST: https, on a public address and a port that the operator allows. "
            "Redirects are not followed.",
            examples=["https://hooks.example.com/tiltscope"],
        ),
    ]
    events: Annotated[
        list[EventType],
        AfterValidator(_once),
        Field(min_length=1, max_length=16, examples=[["analysis.succeeded", "analysis.failed"]]),
    ]
    name: Annotated[
        Annotated[str, StringConstraints(min_length=1, max_length=200)] | None,
        Field(description="What you call it.", examples=["training pipeline"]),
    ] = None


class Webhook(Document):
    """A webhook; its secret is shown when it is made and when it is rotated, and never again."""

    id: Annotated[str, Field(examples=["whk_01JD8ZC6Q5V6TQ3N4R5S6T7V8W"])]
    object: Literal["webhook"]
    name: str | None
    url: str
    events: list[EventType]
    old_secret_until: Annotated[
        str | None, Field(description="Until when the secret of before the last rotation signs too.")
    ]
    created_at: str


class WebhookWithSecret(Webhook):
    """A webhook, and what verifies its messages."""

    secret: Annotated[
        str,
        Field(
            description="Keep it: it is not shown again. As the libraries of Standard Webhooks take it.",
            examples=["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"],
        ),
    ]


class WebhookList(Document):
    """One page of webhooks, newest first."""

    object: Literal["list"]
    data: list[Webhook]
    has_more: bool
    next_cursor: str | None


class WebhookMessage(Document):
    """A message that waits to be delivered."""

    id: Annotated[str, Field(description="The header `webhook-id`, the same at every attempt.")]
    object: Literal["webhook_message"]
    type: str
    created_at: str


class WebhookDelivery(Document):
    """One attempt to deliver a message."""

    id: str
    object: Literal["webhook_delivery"]
    message_id: Annotated[str, Field(description="The header `webhook-id`, the same at every attempt.")]
    type: str
    analysis_id: Annotated[str | None, Field(description="What ended; null for a test.")]
    attempt: Annotated[int, Field(description="From 1; one during which the service died is missing.")]
    outcome: Annotated[
        Literal["delivered", "retried", "given_up"],
        Field(description="`delivered`: answered with 2xx. `retried`: tried again at `next_attempt_at`."),
    ]
    status: Annotated[int | None, Field(description="HTTP status; null without an answer.")]
    error: str | None
    attempted_at: str
    next_attempt_at: str | None


class WebhookDeliveryList(Document):
    """One page of attempts, newest first."""

    object: Literal["list"]
    data: list[WebhookDelivery]
    has_more: bool
    next_cursor: str | None


class EndedAnalysis(Document):
    """What a message tells of an analysis: enough to decide whether to fetch the rest."""

    id: str
    object: Literal["analysis"]
    kind: Kind
    status: Status
    partial: bool
    verdict: str | None
    revision: int
    result_revision: Annotated[int | None, Field(description="Of the result there is; null without one.")]
    links: Links


class TestedWebhook(Document):
    """What a test message tells: which webhook it tests."""

    id: str
    object: Literal["webhook"]


class WebhookPayload(Document):
    """The body of a message, after Standard Webhooks."""

    type: str
    timestamp: Annotated[str, Field(description="When it happened, not when it was sent.")]
    data: EndedAnalysis | TestedWebhook
