"""`tiltscope up`, an analysis by the real engine, and a receiver that is told of its end."""

import pytest
from standardwebhooks import WebhookVerificationError
from webhook_receiver import receiving


@pytest.fixture(scope="module")
def told(start_stack):
    """A service that may send to this machine."""
    stack = start_stack(TILTSCOPE_WEBHOOK_LOOPBACK="1")
    yield stack
    stack.stop()


def test_the_end_of_an_analysis_arrives_signed_and_is_in_the_log(told, comparison):
    with receiving() as receiver:
        made = told.client.post(
            "/v1/webhooks", json={"url": receiver.url, "events": ["analysis.succeeded"], "name": "pipeline"}
        )
        assert made.status_code == 201, made.text
        webhook, secret = made.json()["id"], made.json()["secret"]
        budget = {**comparison["budget"], "samples_per_prompt": 8, "adaptive": False}
        analysis_id = told.submit({**comparison, "budget": budget})
        result = told.succeeded(analysis_id)
        log = told.until(
            lambda: told.get(f"/v1/webhooks/{webhook}/deliveries")["data"], "the delivery is in the log"
        )
    (message,) = receiver.received
    body = message.verify(secret)
    assert body["type"] == "analysis.succeeded"
    assert (body["data"]["id"], body["data"]["status"]) == (analysis_id, "succeeded")
    assert body["data"]["verdict"] == result["verdict"]["label"]
    with pytest.raises(WebhookVerificationError):
        message.verify("whsec_" + "A" * 43 + "=")
    assert [(one["message_id"], one["analysis_id"], one["attempt"], one["outcome"]) for one in log] == [
        (message.id, analysis_id, 1, "delivered")
    ]
