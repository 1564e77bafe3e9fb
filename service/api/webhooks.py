"""Routes of /v1/webhooks."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from api_schemas.webhooks import (
    Webhook,
    WebhookDeliveryList,
    WebhookList,
    WebhookMessage,
    WebhookRequest,
    WebhookWithSecret,
)
from service.api.bodies import StrictJsonRoute
from service.api.dependencies import After, Limit, ResourcesDep
from service.webhooks import deliveries, manage

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], route_class=StrictJsonRoute)
WebhookId = Annotated[str, Path(examples=["whk_01JD8ZC6Q5V6TQ3N4R5S6T7V8W"])]


@router.post("", status_code=201, operation_id="webhooks_create")
def create(body: WebhookRequest, response: Response, resources: ResourcesDep) -> WebhookWithSecret:
    """Be told when analyses end; the secret that verifies the messages is answered this once."""
    made = manage.create(resources, body)
    response.headers["Location"] = f"/v1/webhooks/{made.id}"
    response.headers["Cache-Control"] = "no-store"
    return made


@router.get("", operation_id="webhooks_list")
def list_webhooks(resources: ResourcesDep, limit: Limit = 20, after: After = None) -> WebhookList:
    """List webhooks, newest first."""
    return manage.list_page(resources, limit=limit, after=after)


@router.get("/{webhook_id}", operation_id="webhooks_get")
def get(webhook_id: WebhookId, resources: ResourcesDep) -> Webhook:
    """One webhook: where it leads and what it is told."""
    return manage.get(resources, webhook_id)


@router.delete("/{webhook_id}", status_code=204, operation_id="webhooks_delete", response_class=Response)
def delete(webhook_id: WebhookId, resources: ResourcesDep) -> None:
    """Remove a webhook with its log; messages that still wait are not sent."""
    manage.remove(resources, webhook_id)


@router.post("/{webhook_id}/rotate", operation_id="webhooks_rotate")
def rotate(webhook_id: WebhookId, response: Response, resources: ResourcesDep) -> WebhookWithSecret:
    """Answer a new secret; the one before signs beside it for a while, and one before that no longer."""
    response.headers["Cache-Control"] = "no-store"
    return manage.rotate(resources, webhook_id)


@router.post("/{webhook_id}/test", status_code=202, operation_id="webhooks_test")
def test(webhook_id: WebhookId, resources: ResourcesDep) -> WebhookMessage:
    """Send a message of type `webhook.test`; what became of it is among the deliveries."""
    return manage.test(resources, webhook_id)


@router.get("/{webhook_id}/deliveries", operation_id="webhooks_deliveries")
def list_deliveries(
    webhook_id: WebhookId, resources: ResourcesDep, limit: Limit = 20, after: After = None
) -> WebhookDeliveryList:
    """Every attempt to deliver a message to it, newest first."""
    return deliveries.list_page(resources, webhook_id, limit=limit, after=after)
