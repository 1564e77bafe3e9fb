import json
import re
from typing import Any

import pytest
from fastapi import APIRouter
from sqlalchemy import Engine, text

from api_schemas.problems import Problem
from ledger.database import write
from service.settings import Settings

JSON = {"Content-Type": "application/json"}


def problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    Problem.model_validate(found)
    assert (found["status"], found["code"]) == (status, code)
    assert found["request_id"] == answer.headers["x-request-id"]
    return dict(found)


def test_unknown_paths(gateway: Any) -> None:
    problem(gateway.get("/v2/analyses"), 404, "route_not_found")
    problem(gateway.get("/v1/analyses/"), 404, "route_not_found")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/v1/analyses", "GET, POST"),
        ("POST", "/v1/analyses/anl_1", "DELETE, GET, PATCH"),
        ("GET", "/v1/analyses/anl_1/cancel", "POST"),
        ("POST", "/", "GET"),
    ],
)
def test_other_methods_are_refused_with_all_there_are(
    gateway: Any, method: str, path: str, allow: str
) -> None:
    answer = gateway.request(method, path)
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == allow


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=latin-1",
        "junk",
    ],
)
def test_other_media_types(gateway: Any, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = gateway.post("/v1/analyses", content=b"{}", headers=headers)
    problem(answer, 415, "unsupported_media_type")


def test_json_by_another_name_is_json(gateway: Any) -> None:
    headers = {"Content-Type": "application/merge-patch+json; charset=UTF-8"}
    problem(gateway.post("/v1/analyses", content=b"{}", headers=headers), 422, "validation_failed")


@pytest.mark.parametrize("body", [b"", b"  \n", b"{", b"nul", b"\xff"])
def test_broken_json(gateway: Any, body: bytes) -> None:
    problem(gateway.post("/v1/analyses", content=body, headers=JSON), 400, "invalid_json")


@pytest.mark.parametrize("body", ["[]", "null", '"x"', "1", "true"])
def test_json_that_is_no_object(gateway: Any, body: str) -> None:
    found = problem(gateway.post("/v1/analyses", content=body, headers=JSON), 422, "validation_failed")
    assert found["errors"][0]["pointer"] == ""


def test_json_that_parsers_read_differently(gateway: Any) -> None:
    body = b'{"policy": {"temperature": NaN}, "seed": 1, "seed": 2}'
    found = problem(gateway.post("/v1/analyses", content=body, headers=JSON), 400, "invalid_json")
    assert [error["pointer"] for error in found["errors"]] == ["/policy/temperature", "/seed"]


class TestLargeBodies:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"max_body_bytes": 1000})

    def test_the_limit_itself_is_read(self, gateway: Any) -> None:
        body = b'{"name": "' + b"x" * (1000 - 12) + b'"}'
        assert len(body) == 1000
        problem(gateway.post("/v1/analyses", content=body, headers=JSON), 422, "validation_failed")

    def test_one_byte_more_is_not(self, gateway: Any) -> None:
        answer = gateway.post("/v1/analyses", content=b" " * 1001, headers=JSON)
        assert "1,000 bytes" in problem(answer, 413, "body_too_large")["detail"]

    def test_a_stream_of_unknown_length_is_cut_while_it_is_read(self, gateway: Any) -> None:
        sent = 0

        async def endless() -> Any:
            nonlocal sent
            while True:
                sent += 100
                assert sent <= 2000, "read far beyond the limit"
                yield b" " * 100

        problem(gateway.post("/v1/analyses", content=endless(), headers=JSON), 413, "body_too_large")


class TestFailures:
    def test_a_bug_is_answered_without_its_traceback(self, gateway: Any) -> None:
        router = APIRouter()

        @router.get("/bug")
        def bug() -> None:
            raise RuntimeError("secret detail")

        gateway.app.include_router(router)
        found = problem(gateway.get("/bug"), 500, "internal_error")
        assert not re.search("secret|Traceback|RuntimeError", json.dumps(found))

    def test_a_database_that_is_away(self, gateway: Any, engine: Engine, request_body: Any) -> None:
        with write(engine) as conn:
            conn.execute(text("ALTER TABLE analyses RENAME TO elsewhere"))
        for answer in (gateway.get("/v1/analyses"), gateway.post("/v1/analyses", json=request_body)):
            found = problem(answer, 503, "database_unavailable")
            assert answer.headers["retry-after"]
            assert "analyses" not in found["detail"]
            assert "sql" not in answer.text.lower()
        assert gateway.get("/livez").status_code == 200


class TestRequestId:
    def test_a_harmless_one_is_kept(self, gateway: Any) -> None:
        answer = gateway.get("/nope", headers={"X-Request-Id": "trace-1.2_3"})
        assert answer.headers["x-request-id"] == answer.json()["request_id"] == "trace-1.2_3"

    @pytest.mark.parametrize("sent", ["", "a b", "x" * 65, 'a"b'])
    def test_any_other_is_replaced(self, gateway: Any, sent: str) -> None:
        given = gateway.get("/livez", headers={"X-Request-Id": sent}).headers["x-request-id"]
        assert re.fullmatch(r"req_[0-9A-Z]{26}", given)


class TestLoopback:
    @pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000"])
    def test_its_own_names_are_served(self, gateway: Any, host: str) -> None:
        assert gateway.get("/livez", headers={"Host": host}).status_code == 200

    @pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8000", "", "[::1"])
    def test_a_rebound_name_is_not(self, gateway: Any, host: str) -> None:
        expected = 200 if host == "[::1" else 421  # no name at all, and still this machine
        assert gateway.get("/livez", headers={"Host": host}).status_code == expected

    def test_a_page_of_another_site_changes_nothing(self, gateway: Any, submit: Any) -> None:
        path = submit()
        answer = gateway.post(f"{path}/cancel", headers={"Sec-Fetch-Site": "cross-site"})
        problem(answer, 403, "cross_site")
        assert gateway.get(path, headers={"Sec-Fetch-Site": "cross-site"}).json()["status"] == "queued"
        answer = gateway.post(f"{path}/cancel", headers={"Sec-Fetch-Site": "same-origin"})
        assert answer.status_code == 202
