"""Nobody comes in unasked, and nobody sees what is another tenant's."""

import json
import time

import pytest
from sqlalchemy import select

from ledger import api_keys
from ledger.database import read, write
from ledger.tables import audit
from service.api.gatekeeper import OPEN_PATHS

PLACEHOLDERS = {"analysis_id": "{anl}", "dataset_id": "{ds}", "model_id": "tiny-base", "name": "result.json"}


def operations(gateway):
    """Method and path template of every operation of the contract."""
    document = gateway.get("/openapi.json").json()
    return [
        (method.upper(), path)
        for path, methods in document["paths"].items()
        for method in methods
        if path not in OPEN_PATHS
    ]


def filled(path, analysis_id, dataset_id):
    """A path template with ids; an unknown placeholder gets something harmless."""
    for name, value in {**PLACEHOLDERS, "analysis_id": analysis_id, "dataset_id": dataset_id}.items():
        path = path.replace(f"{{{name}}}", value)
    while "{" in path:
        head, _, tail = path.partition("{")
        path = head + "nothing" + tail.partition("}")[2]
    return path


def asked(gateway, method, path, **options):
    headers = {"If-Match": "*", **options.pop("headers", {})}
    body = {"content": b"{}"} if method in {"POST", "PATCH", "PUT"} else {}
    headers |= {"Content-Type": "application/json"} if body else {}
    return gateway.request(method, path, headers=headers, **body, **options)


def without_id(answer):
    return {name: value for name, value in answer.json().items() if name != "request_id"}


def test_only_health_and_the_contract_are_open(gateway):
    for path in OPEN_PATHS:
        assert gateway.get(path).status_code in (200, 503), path
    for method, path in operations(gateway):
        answer = asked(gateway, method, filled(path, "anl_1", "ds_1"))
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), path
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert gateway.get("/").status_code == 401
    assert gateway.get("/no/such/route").status_code == 401


@pytest.mark.parametrize(
    "spoil",
    [
        lambda key: key[:-1] + ("0" if key[-1] != "0" else "1"),
        lambda key: key[:-20],
        lambda key: key.replace("tsk_", "sk_"),
        lambda key: "",
        lambda key: key + "\x7f",
    ],
)
def test_a_key_that_is_not_one_is_refused(gateway, make_key, bearer, spoil):
    answer = gateway.get("/v1/analyses", headers=bearer(spoil(make_key("alice"))))
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


def test_a_stolen_id_opens_nothing(gateway, make_key, bearer):
    from service.auth.keys import ApiKey

    mine = ApiKey.parse(make_key("alice"))
    forged = ApiKey(mine.id, ApiKey.generate().secret)
    unknown = ApiKey.generate()
    answers = [gateway.get("/v1/analyses", headers=bearer(key.text)) for key in (forged, unknown)]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert without_id(answers[0]) == without_id(answers[1])


def test_a_revoked_key_ends_at_once_and_an_expired_one_by_itself(gateway, engine, make_key, bearer):
    key = make_key("alice")
    assert gateway.get("/v1/analyses", headers=bearer(key)).status_code == 200
    with write(engine) as conn:
        assert api_keys.revoke(conn, key.split("_")[1])
        assert not api_keys.revoke(conn, key.split("_")[1])
    assert gateway.get("/v1/analyses", headers=bearer(key)).status_code == 401
    short = make_key("alice", lifetime=0.05)
    time.sleep(0.1)
    assert gateway.get("/v1/analyses", headers=bearer(short)).status_code == 401


def test_a_browser_gives_the_key_as_the_password(gateway, make_key, basic):
    assert gateway.get("/", headers=basic(make_key("alice"))).status_code == 200
    assert gateway.get("/", headers={"Authorization": "Basic !!"}).status_code == 401


def test_scopes_bound_what_a_key_may_do(gateway, make_key, bearer, request_body):
    reader, writer = bearer(make_key("alice", "read")), bearer(make_key("alice", "write"))
    refused = gateway.post("/v1/analyses", json=request_body, headers=reader)
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    assert "`write`" in refused.json()["detail"]
    accepted = gateway.post("/v1/analyses", json=request_body, headers=writer)
    assert accepted.status_code == 202
    assert gateway.get(accepted.headers["Location"], headers=writer).status_code == 403
    assert gateway.get(accepted.headers["Location"], headers=reader).status_code == 200
    assert gateway.get("/v1/audit", headers=reader).status_code == 403


def _created(gateway, owner, request_body):
    analysis = gateway.post("/v1/analyses", json=request_body, headers=owner).json()["id"]
    lines = json.dumps({"id": "a", "prompt": "1+1=", "answer": "2"}).encode()
    headers = {**owner, "Content-Type": "application/jsonl"}
    dataset = gateway.post("/v1/datasets", content=lines, headers=headers).json()["id"]
    return analysis, dataset


def test_what_is_anothers_is_answered_as_what_does_not_exist(gateway, alice, bob, request_body):
    """Every operation with an id: the body for another tenant's equals the body for none."""
    analysis, dataset = _created(gateway, alice, request_body)
    compared = 0
    for method, path in operations(gateway):
        if "{analysis_id}" not in path and "{dataset_id}" not in path:
            continue
        theirs = asked(gateway, method, filled(path, analysis, dataset), headers=bob)
        nobodys = asked(gateway, method, filled(path, "anl_0", "ds_0"), headers=bob)
        assert theirs.status_code == nobodys.status_code, (method, path)
        bodies = [
            {k: v for k, v in answer.json().items() if k != "request_id"} for answer in (theirs, nobodys)
        ]
        assert bodies[0] == bodies[1], (method, path)
        compared += 1
    assert compared >= 10
    assert gateway.get(f"/v1/analyses/{analysis}", headers=alice).json()["status"] == "queued"
    assert gateway.get(f"/v1/datasets/{dataset}", headers=alice).status_code == 200


def test_lists_show_only_ones_own(gateway, alice, bob, request_body):
    analysis, dataset = _created(gateway, alice, request_body)
    for path, mine in (("/v1/analyses", analysis), ("/v1/datasets", dataset)):
        assert [entry["id"] for entry in gateway.get(path, headers=alice).json()["data"]] == [mine]
        assert gateway.get(path, headers=bob).json()["data"] == []
    assert analysis not in gateway.get("/", headers=bob).text
    assert [entry["id"] for entry in gateway.get("/v1/models", headers=bob).json()["data"]] == [
        "tiny-base",
        "tiny-grpo",
    ]


def test_anothers_data_set_cannot_be_analysed(gateway, alice, bob, request_body):
    _, dataset = _created(gateway, alice, request_body)
    answer = gateway.post("/v1/analyses", json={**request_body, "prompts": {"dataset": dataset}}, headers=bob)
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_dataset")


def test_idempotency_keys_of_two_tenants_do_not_meet(gateway, alice, bob, request_body):
    ids = {
        gateway.post("/v1/analyses", json=request_body, headers={**who, "Idempotency-Key": "same"}).json()[
            "id"
        ]
        for who in (alice, bob, alice)
    }
    assert len(ids) == 2


def test_whatever_may_change_something_is_on_record(gateway, engine, alice, bob, request_body):
    analysis, _ = _created(gateway, alice, request_body)
    gateway.post(f"/v1/analyses/{analysis}/cancel", headers=alice)
    gateway.post(f"/v1/analyses/{analysis}/cancel", headers=bob)
    gateway.get(f"/v1/analyses/{analysis}", headers=alice)
    log = gateway.get("/v1/audit", headers=alice).json()["data"]
    assert [(entry["action"], entry["status"]) for entry in log] == [
        ("POST /v1/analyses/{analysis_id}/cancel", 202),
        ("POST /v1/datasets", 201),
        ("POST /v1/analyses", 202),
    ]
    assert log[0]["target"] == f"/v1/analyses/{analysis}/cancel"
    assert all(entry["actor"].startswith("key:") for entry in log)
    assert [entry["status"] for entry in gateway.get("/v1/audit", headers=bob).json()["data"]] == [404]
    with read(engine) as conn:
        text = str(conn.execute(select(audit)).all())
    assert "tsk_" not in text


def test_the_audit_log_pages(gateway, alice, request_body):
    for _ in range(5):
        gateway.post("/v1/analyses", json=request_body, headers=alice)
    first = gateway.get("/v1/audit?limit=2", headers=alice).json()
    seen, cursor = [entry["id"] for entry in first["data"]], first["next_cursor"]
    while cursor:
        page = gateway.get(f"/v1/audit?limit=2&after={cursor}", headers=alice).json()
        seen += [entry["id"] for entry in page["data"]]
        cursor = page["next_cursor"]
    assert len(seen) == len(set(seen)) == 5


def test_a_use_is_noted_without_a_write_a_request(gateway, engine, make_key, bearer):
    key = make_key("alice")
    stamps = set()
    for _ in range(3):
        gateway.get("/v1/models", headers=bearer(key))
        with read(engine) as conn:
            stamps.add(api_keys.get(conn, key.split("_")[1]).last_used_at)
    assert len(stamps) == 1
    assert None not in stamps
