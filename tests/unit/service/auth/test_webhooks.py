"""Webhooks of two tenants, with keys of their own."""

from typing import Any

import pytest
from sqlalchemy import Engine, select

from ledger.database import read
from ledger.tables import outbox, webhooks
from service.settings import Settings

WANTED = {"url": "https://hooks.example.com/", "events": ["analysis.failed"]}
ROUTES = [("GET", ""), ("DELETE", ""), ("POST", "/rotate"), ("POST", "/test"), ("GET", "/deliveries")]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"max_webhooks": 1})


def test_another_tenants_webhook_is_as_unknown_as_none(
    gateway: Any, engine: Engine, alice: Any, bob: Any
) -> None:
    mine = gateway.post("/v1/webhooks", json=WANTED, headers=alice).json()["id"]
    for method, rest in ROUTES:
        answers = [
            gateway.request(method, f"/v1/webhooks/{name}{rest}", headers=bob) for name in (mine, "whk_0")
        ]
        assert [answer.status_code for answer in answers] == [404, 404]
        theirs, unknown = ({**answer.json(), "request_id": ""} for answer in answers)
        assert theirs == unknown
    assert gateway.get("/v1/webhooks", headers=bob).json()["data"] == []
    assert gateway.get(f"/v1/webhooks/{mine}", headers=alice).status_code == 200
    with read(engine) as conn:
        assert conn.execute(select(outbox)).all() == []
        assert conn.execute(select(webhooks.c.old_secret)).scalar_one() is None


def test_a_tenants_webhooks_are_counted_alone(gateway: Any, alice: Any, bob: Any) -> None:
    for who, status in ((alice, 201), (alice, 409), (bob, 201)):
        assert gateway.post("/v1/webhooks", json=WANTED, headers=who).status_code == status


@pytest.mark.parametrize(("method", "rest"), [("GET", ""), ("POST", ""), *ROUTES])
def test_they_take_the_scope_admin(gateway: Any, make_key: Any, bearer: Any, method: str, rest: str) -> None:
    path = "/v1/webhooks" + (f"/whk_0{rest}" if rest else "")
    answer = gateway.request(method, path, headers=bearer(make_key("alice", "read", "write")))
    assert answer.status_code == 403
