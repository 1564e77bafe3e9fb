import json
from typing import Any

import pytest
from sqlalchemy import Engine, update

from ledger.claims import claim_next
from ledger.commits import commit_finalise
from ledger.database import write
from ledger.retention import collect
from ledger.tables import analyses
from ledger.workers import WorkerIdentity
from service.replays import replayed

LOG = b'{"prompt": "1+1=", "answer": "2", "completion": "2"}\n'
IMPORTED = {"source": "import", "import": "imp_1"}
ARM = {"name": "chat", "role": "elicitation", "chat_template": "candidate"}
NOTHING = {"samples": 0, "sampled_tokens": 0, "scored_tokens": 0, "cached_samples": 0, "engine_seconds": 0.0}
SUMMARY = {
    "model": None,
    "prompts": 1,
    "samples": 1,
    "samples_per_prompt": {"fewest": 1, "most": 1},
    "answers": 1,
    "logprobs": 0,
    "sampling": {},
    "filters": [],
    "supports": ["support", "capability"],
}


@pytest.fixture
def take(gateway: Any) -> Any:
    def take(content: bytes = LOG, **params: str) -> str:
        answer = gateway.post("/v1/imports", params={"format": "jsonl", **params}, content=content)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    return take


@pytest.fixture
def parse(engine: Engine, worker: Any) -> Any:
    """Ends the one claimable import, as a worker would."""

    def parse() -> None:
        claim = worker.claim()
        assert claim.analysis["kind"] == "import"
        stored = worker.store.put(
            f"default/{claim.analysis['id']}/summary.json", json.dumps(SUMMARY).encode()
        )
        entry = {"key": stored.key, "sha256": stored.sha256, "bytes": stored.bytes, "media_type": "x"}
        assert commit_finalise(engine, claim, artifacts={"summary.json": entry}, usage=NOTHING)

    return parse


def claimable(engine: Engine) -> bool:
    nobody = WorkerIdentity("w", "b", "h")
    return claim_next(engine, nobody, works=None, resident=(), lease_seconds=60) is not None


def test_a_log_is_taken_in_and_parsed_by_a_worker(gateway: Any, take: Any, parse: Any) -> None:
    answer = gateway.post("/v1/imports?format=jsonl&name=base", content=LOG)
    made = answer.json()
    assert (made["status"], made["summary"], made["name"]) == ("queued", None, "base")
    assert answer.headers["location"] == f"/v1/imports/{made['id']}"
    parse()
    found = gateway.get(f"/v1/imports/{made['id']}").json()
    assert (found["status"], found["summary"]) == ("succeeded", SUMMARY)
    assert gateway.get("/v1/imports").json()["data"] == [found]


def test_it_is_no_analysis(gateway: Any, take: Any) -> None:
    made = take()
    assert gateway.get("/v1/analyses").json()["data"] == []
    for method, path in (
        ("GET", made),
        ("GET", f"{made}/events"),
        ("POST", f"{made}/cancel"),
        ("DELETE", made),
    ):
        assert gateway.request(method, f"/v1/analyses/{path}").status_code == 404


@pytest.mark.parametrize("content", [b""])
def test_nothing_is_no_log(gateway: Any, content: bytes) -> None:
    answer = gateway.post("/v1/imports?format=jsonl", content=content)
    assert (answer.status_code, answer.json()["code"]) == (422, "empty_log")


def test_an_unknown_format_is_refused(gateway: Any) -> None:
    answer = gateway.post("/v1/imports?format=nope", content=LOG)
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, "format")


class TestIdempotencyKey:
    def post(self, gateway: Any, content: bytes = LOG, **params: str) -> Any:
        params = {"format": "jsonl", **params}
        return gateway.post("/v1/imports", params=params, content=content, headers={"Idempotency-Key": "k"})

    def test_a_repeated_upload_is_the_same_import(self, gateway: Any, worker: Any) -> None:
        first, second = self.post(gateway), self.post(gateway)
        assert second.status_code == 202
        assert second.json() == first.json()
        assert "idempotent-replayed" not in first.headers
        assert second.headers["idempotent-replayed"] == "true"
        assert len(gateway.get("/v1/imports").json()["data"]) == 1
        assert len(list(worker.store.keys_older_than(-60))) == 1

    @pytest.mark.parametrize(("content", "params"), [(LOG + LOG, {}), (LOG, {"name": "another"})])
    def test_another_upload_needs_another_key(self, gateway: Any, content: bytes, params: Any) -> None:
        assert self.post(gateway).status_code == 202
        answer = self.post(gateway, content, **params)
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")

    def test_of_two_at_once_one_makes_it(
        self, gateway: Any, worker: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = self.post(gateway)
        # The second looks for the key just before the first commits.
        seen = iter([None])

        def late(*request: Any) -> Any:
            return next(seen, True) and replayed(*request)

        monkeypatch.setattr("service.imports.upload.replayed", late)
        second = self.post(gateway)
        assert second.json() == first.json()
        assert len(list(worker.store.keys_older_than(-60))) == 1

    def test_without_one_every_upload_is_an_import(self, take: Any) -> None:
        assert take() != take()


class TestAnalyses:
    def test_one_waits_for_all_its_imports(
        self, gateway: Any, engine: Engine, take: Any, parse: Any, request_body: Any
    ) -> None:
        sides = {side: {"source": "import", "import": take()} for side in ("reference", "candidate")}
        body = {**request_body, **sides}
        del body["prompts"]
        answer = gateway.post("/v1/analyses", json=body)
        assert answer.status_code == 202, answer.text
        assert answer.json()["spec"]["reference"] == sides["reference"]
        parse()
        parse()
        assert claimable(engine)

    def test_it_is_not_run_before(
        self, gateway: Any, engine: Engine, take: Any, worker: Any, request_body: Any
    ) -> None:
        side = {"source": "import", "import": take()}
        assert gateway.post("/v1/analyses", json={**request_body, "reference": side}).status_code == 202
        assert worker.claim().analysis["kind"] == "import"
        assert not claimable(engine)

    def test_one_that_failed_is_named(self, gateway: Any, take: Any, worker: Any, request_body: Any) -> None:
        side = {"source": "import", "import": take()}
        worker.fail({"title": "x", "status": 422, "code": "invalid_log", "detail": "line 3: no"})
        answer = gateway.post("/v1/analyses", json={**request_body, "reference": side})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_import")
        assert answer.json()["errors"][0]["pointer"] == "/reference/import"
        assert "line 3" in answer.json()["detail"]

    @pytest.mark.parametrize(
        ("changes", "pointer"),
        [
            ({"reference": IMPORTED}, "/reference/import"),
            ({"reference": {"source": "import", "import": "../x"}}, "/reference/import"),
            ({"reference": {"source": "import"}}, "/reference/import"),
            ({"reference": IMPORTED, "kind": "free_energy"}, ""),
            ({"prompts": None}, ""),
            ({"reference": IMPORTED, "prompts": None}, ""),
            ({"reference": IMPORTED, "arms": [ARM]}, ""),
            ({"reference": IMPORTED, "kind": "trajectory", "candidates": [{"model": "tiny-grpo"}]}, ""),
        ],
    )
    def test_what_cannot_be_is_refused(
        self, gateway: Any, request_body: Any, changes: Any, pointer: str
    ) -> None:
        answer = gateway.post("/v1/analyses", json={**request_body, **changes})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)

    def test_a_log_has_no_chat_template_for_an_arm(self, gateway: Any, take: Any, request_body: Any) -> None:
        body = {**request_body, "candidate": {"source": "import", "import": take()}, "arms": [ARM]}
        errors = gateway.post("/v1/analyses", json=body).json()["errors"]
        details = [error["detail"] for error in errors if error["pointer"] == "/arms/0/chat_template"]
        assert details == ["arm `chat` asks for the candidate's chat template, and an imported log has none"]

    def test_an_import_in_use_stays(
        self, gateway: Any, take: Any, parse: Any, worker: Any, request_body: Any
    ) -> None:
        made = take()
        assert gateway.request("DELETE", f"/v1/imports/{made}").status_code == 409
        parse()
        body = {**request_body, "reference": {"source": "import", "import": made}}
        path = gateway.post("/v1/analyses", json=body).headers["location"]
        assert gateway.request("DELETE", f"/v1/imports/{made}").json()["code"] == "import_in_use"
        gateway.post(f"{path}/cancel")
        assert gateway.request("DELETE", path).status_code == 204
        assert gateway.request("DELETE", f"/v1/imports/{made}").status_code == 204
        assert list(worker.store.keys_older_than(-60)) == []


def test_the_collector_leaves_logs_alone(take: Any, engine: Engine, worker: Any, parse: Any) -> None:
    take()
    parse()
    assert collect(engine, worker.store, orphan_seconds=-60) == 0


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_another_tenants_import_does_not_exist(
    gateway: Any, take: Any, engine: Engine, request_body: Any, method: str
) -> None:
    made = take()
    with write(engine) as conn:
        conn.execute(update(analyses).values(tenant_id="other"))
    answer = gateway.request(method, f"/v1/imports/{made}")
    assert (answer.status_code, answer.json()["code"]) == (404, "import_not_found")
    body = {**request_body, "reference": {"source": "import", "import": made}}
    assert gateway.post("/v1/analyses", json=body).json()["code"] == "unknown_import"
