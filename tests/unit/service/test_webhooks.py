"""Webhooks as their owner and others see them; deliveries are the reconciler's tests."""

import json
import sqlite3
from typing import Any

import pytest
from sqlalchemy import Engine, select

from ledger import outbox
from ledger.database import write
from ledger.tables import outbox as messages
from service.settings import Settings

URL = "https://hooks.example.com/tiltscope"
WANTED = {"url": URL, "events": ["analysis.succeeded", "analysis.failed"], "name": "pipeline"}


@pytest.fixture
def make(gateway: Any) -> Any:
    def make(**changes: Any) -> Any:
        answer = gateway.post("/v1/webhooks", json={**WANTED, **changes})
        assert answer.status_code == 201, answer.text
        return answer.json()

    return make


def test_the_secret_is_answered_once_and_kept_sealed(gateway: Any, settings: Settings, make: Any) -> None:
    made = make()
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert len(secret) == len("whsec_") + 44
    answer = gateway.get(f"/v1/webhooks/{made['id']}")
    assert answer.json() == made
    assert gateway.get("/v1/webhooks").json()["data"] == [made]
    with sqlite3.connect(settings.home / "ledger.sqlite3") as stored:
        dump = "\n".join(stored.iterdump())
    assert made["id"] in dump
    assert secret.removeprefix("whsec_") not in dump


def test_where_it_is_and_that_nobody_caches_it(gateway: Any) -> None:
    answer = gateway.post("/v1/webhooks", json=WANTED)
    assert answer.headers["location"] == f"/v1/webhooks/{answer.json()['id']}"
    assert answer.headers["cache-control"] == "no-store"


def test_a_rotation_answers_a_new_secret_and_says_how_long_the_old_one_signs(gateway: Any, make: Any) -> None:
    made = make()
    assert made["old_secret_until"] is None
    answer = gateway.post(f"/v1/webhooks/{made['id']}/rotate")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    rotated = answer.json()
    assert rotated["secret"] != made["secret"]
    assert rotated["old_secret_until"] > rotated["created_at"]
    assert "secret" not in gateway.get(f"/v1/webhooks/{made['id']}").json()


def test_a_test_message_waits_for_the_reconciler(gateway: Any, engine: Engine, make: Any) -> None:
    made = make()
    answer = gateway.post(f"/v1/webhooks/{made['id']}/test")
    assert (answer.status_code, answer.json()["type"]) == (202, "webhook.test")
    (taken,) = outbox.claim(engine, limit=8, busy=(), hold_seconds=60)
    assert (taken.id, taken.webhook_id) == (answer.json()["id"], made["id"])


def test_the_log_is_paged_newest_first(gateway: Any, engine: Engine, make: Any) -> None:
    path = f"/v1/webhooks/{make()['id']}"
    gateway.post(f"{path}/test")
    for _ in range(5):
        (taken,) = outbox.claim(engine, limit=8, busy=(), hold_seconds=60)
        outbox.record(engine, taken, status=503, error="answered 503", retry_seconds=0)
    seen, after = [], ""
    while True:
        page = gateway.get(f"{path}/deliveries?limit=2{after}").json()
        seen += page["data"]
        if not page["has_more"]:
            break
        after = f"&after={page['next_cursor']}"
    assert [entry["attempt"] for entry in seen] == [5, 4, 3, 2, 1]
    assert {entry["message_id"] for entry in seen} == {taken.id}
    first = seen[-1]
    assert (first["status"], first["error"], first["outcome"]) == (503, "answered 503", "retried")
    assert (first["type"], first["analysis_id"]) == ("webhook.test", None)
    other = make()["id"]
    strange = gateway.get(f"/v1/webhooks/{other}/deliveries{after.replace('&', '?')}")
    assert (strange.status_code, strange.json()["code"]) == (422, "invalid_cursor")


def test_what_is_removed_is_gone_with_its_messages(gateway: Any, engine: Engine, make: Any) -> None:
    path = f"/v1/webhooks/{make()['id']}"
    gateway.post(f"{path}/test")
    assert gateway.request("DELETE", path).status_code == 204
    assert gateway.get(path).json()["code"] == "webhook_not_found"
    assert gateway.request("DELETE", path).status_code == 404
    with write(engine) as conn:
        assert conn.execute(select(messages)).all() == []


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/", "https://hooks.example.com:22/", "https://user:p@hooks.example.com/",
        "https://@hooks.example.com/", "https://10.0.0.1/", "https://169.254.169.254/latest", "https://[::1]/",
        "https://[::ffff:10.0.0.1]/", "https://localhost/", "https://127.0.0.1/", "https://x:99999/", "https:///x",
        "https://[bad/",
    ],
)  # fmt: skip
def test_a_url_that_would_never_be_delivered_to_is_refused(gateway: Any, url: str) -> None:
    answer = gateway.post("/v1/webhooks", json={**WANTED, "url": url})
    assert (answer.status_code, answer.json()["code"]) == (422, "webhook_url_not_allowed")
    assert answer.json()["errors"][0]["pointer"] == "/url"


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"url": "ftp://x.example/"}, "/url"),
        ({"events": []}, "/events"),
        ({"events": ["analysis.started"]}, "/events/0"),
        ({"events": ["analysis.failed", "analysis.failed"]}, "/events"),
        ({"name": ""}, "/name"),
        ({"secret": "whsec_mine"}, "/secret"),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_stands(gateway: Any, changes: Any, pointer: str) -> None:
    answer = gateway.post(
        "/v1/webhooks",
        content=json.dumps({**WANTED, **changes}),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


class TestOperator:
    @pytest.fixture
    def settings(self, settings: Settings, request: pytest.FixtureRequest) -> Settings:
        return settings.model_copy(update=request.param)

    @pytest.mark.parametrize("settings", [{"max_webhooks": 2}], indirect=True)
    def test_a_tenant_has_so_many_and_no_more(self, gateway: Any, make: Any) -> None:
        make(), make()
        answer = gateway.post("/v1/webhooks", json=WANTED)
        assert (answer.status_code, answer.json()["code"]) == (409, "too_many_webhooks")

    @pytest.mark.parametrize(
        "settings", [{"webhook_http": True, "webhook_ports": frozenset({80})}], indirect=True
    )
    def test_the_operator_may_allow_http_and_other_ports(self, make: Any) -> None:
        make(url="http://hooks.example.com/")

    @pytest.mark.parametrize("settings", [{"webhook_loopback": True}], indirect=True)
    def test_the_operator_may_allow_this_machine(self, gateway: Any, make: Any) -> None:
        make(url="http://127.0.0.1:9000/")
        answer = gateway.post("/v1/webhooks", json={**WANTED, "url": "http://10.0.0.1:9000/"})
        assert answer.status_code == 422


def test_without_a_key_webhooks_are_off_and_say_what_sets_one(
    gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Settings, "own_key_folder", None)
    answer = gateway.post("/v1/webhooks", json=WANTED)
    assert (answer.status_code, answer.json()["code"]) == (503, "webhooks_off")
    assert "TILTSCOPE_WEBHOOK_KEY" in answer.json()["detail"]


def test_settings_refuse_a_key_that_is_none_without_showing_it() -> None:
    with pytest.raises(ValueError, match="openssl") as error:
        Settings(webhook_key="not-a-key")  # type: ignore[arg-type]
    assert "not-a-key" not in str(error.value)


def test_ports_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILTSCOPE_WEBHOOK_PORTS", "443, 9443")
    assert Settings().webhook_ports == {443, 9443}
