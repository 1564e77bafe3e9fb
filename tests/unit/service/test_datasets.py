import gzip
import json
import zlib
from typing import Any

import pytest
from sqlalchemy import Engine, update

from ledger.database import write
from ledger.errors import StoreUnavailable
from ledger.retention import collect
from ledger.tables import datasets
from service.datasets import lines as dataset_lines
from service.errors import BodyTooLarge
from service.settings import Settings
from service.uploads.inflation import RATIO_FROM_BYTES, Inflation

JSONL = {"Content-Type": "application/jsonl"}
PROMPTS = [
    {"id": "p1", "prompt": "12+30=", "answer": "42", "family": "add2", "split": "heldout"},
    {"prompt": "1+1=", "answer": "2", "family": "add2"},
    {
        "id": "p3",
        "messages": [{"role": "user", "content": "ü\u2028?"}],
        "answers": ["a", "b"],
        "split": "heldout",
    },
]


def jsonl(prompts: Any) -> bytes:
    return b"".join(json.dumps(prompt).encode() + b"\n" for prompt in prompts)


def bomb() -> bytes:
    """200 MB of blanks."""
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(b" " * (1 << 20)) for _ in range(200)) + packer.flush()


@pytest.fixture
def keep(gateway: Any) -> Any:
    def keep(content: bytes, **headers: str) -> Any:
        return gateway.post("/v1/datasets", content=content, headers={**JSONL, **headers})

    return keep


def test_prompts_are_kept_by_content(gateway: Any, keep: Any) -> None:
    answer = gateway.post("/v1/datasets?name=additions", content=jsonl(PROMPTS), headers=JSONL)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["name"], made["prompts"], made["families"], made["splits"]) == (
        "additions",
        3,
        1,
        {"heldout": 2},
    )
    assert answer.headers["location"] == f"/v1/datasets/{made['id']}"
    assert gateway.get(answer.headers["location"]).json() == made
    again = keep(b"\n  \n" + jsonl(PROMPTS[:1]) + jsonl([{**PROMPTS[1], "id": "2"}, PROMPTS[2]])[:-1])
    assert (again.status_code, again.json()) == (200, made)
    assert keep(jsonl(PROMPTS[::-1])).json()["id"] != made["id"]


def test_what_is_kept_can_be_read_back(gateway: Any, keep: Any) -> None:
    made = keep(jsonl(PROMPTS)).json()
    answer = gateway.get(f"/v1/datasets/{made['id']}/content")
    assert answer.headers["content-type"].startswith("application/jsonl")
    assert answer.headers["etag"] == f'"{made["sha256"]}"'
    found = [json.loads(line) for line in answer.content.split(b"\n")[:-1]]
    assert found == [PROMPTS[0], {**PROMPTS[1], "id": "2"}, PROMPTS[2]]
    assert keep(answer.content).json() == made
    part = gateway.get(f"/v1/datasets/{made['id']}/content", headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, answer.content[:4])


def test_they_are_listed_newest_first(gateway: Any, keep: Any) -> None:
    made = [keep(jsonl([{"prompt": str(number)}])).json()["id"] for number in range(5)]
    seen: list[str] = []
    params: dict[str, Any] = {"limit": 2}
    while True:
        page = gateway.get("/v1/datasets", params=params).json()
        seen += [entry["id"] for entry in page["data"]]
        if not page["has_more"]:
            break
        params["after"] = page["next_cursor"]
    assert seen == made[::-1]


class TestFaults:
    def test_each_is_named_with_its_line(self, gateway: Any, keep: Any) -> None:
        body = (
            b'{"id": "a", "prompt": "x"}\n'
            b"\n"
            b'{"id": "b", "prompt": "x", "extra": 1}\n'
            b'{"id": "a", "prompt": "y"}\n'
            b"[1]\n"
            b'{"id": "c", "prompt": NaN}\n'
            b'{"id": "d"}\n'
            b'{"prompt": "\xff"}\n'
            b'{"prompt": '
        )
        answer = keep(body)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_prompts")
        faults = [(fault["line"], fault.get("pointer")) for fault in answer.json()["errors"]]
        assert faults == [(3, "/extra"), (4, "/id"), (5, None), (6, "/prompt"), (7, ""), (8, None), (9, None)]
        assert answer.json()["detail"].startswith("line 3: ")
        assert gateway.get("/v1/datasets").json()["data"] == []

    def test_many_are_cut_short(self, keep: Any, settings: Settings) -> None:
        answer = keep(b"{}\n" * 1_000)
        assert len(answer.json()["errors"]) == settings.max_listed_faults

    @pytest.mark.parametrize("body", [b"", b"\n\n"])
    def test_nothing_is_no_data_set(self, keep: Any, body: bytes) -> None:
        answer = keep(body)
        assert (answer.status_code, answer.json()["code"]) == (422, "no_prompts")

    @pytest.mark.parametrize("kind", ["application/json", "text/csv", "application/x-www-form-urlencoded"])
    def test_other_media_types_are_told_how(self, gateway: Any, kind: str) -> None:
        answer = gateway.post("/v1/datasets", content=b"{}", headers={"Content-Type": kind})
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
        assert "--data-binary" in answer.json()["detail"]


class TestLimits:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"max_dataset_prompts": 3, "max_dataset_bytes": 300})

    def test_prompts(self, keep: Any) -> None:
        assert keep(b'{"prompt": "x"}\n' * 3).status_code == 201
        answer = keep(b'{"prompt": "x"}\n' * 4)
        assert (answer.status_code, answer.json()["code"]) == (422, "too_many_prompts")
        assert answer.json()["errors"][0]["line"] == 4

    @pytest.mark.parametrize("streamed", [True, False])
    def test_bytes(self, gateway: Any, streamed: bool) -> None:
        body = b'{"prompt": "' + b"x" * 300 + b'"}'

        async def parts() -> Any:
            for start in range(0, len(body), 50):
                yield body[start : start + 50]

        answer = gateway.post("/v1/datasets", content=parts() if streamed else body, headers=JSONL)
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")

    def test_bytes_once_inflated(self, keep: Any) -> None:
        answer = keep(gzip.compress(b'{"prompt": "' + b"x" * 300 + b'"}'), **{"Content-Encoding": "gzip"})
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")

    def test_a_line(self, keep: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dataset_lines, "MAX_LINE_BYTES", 40)
        answer = keep(b'{"prompt": "x"}\n{"prompt": "' + b"x" * 60)
        assert (answer.status_code, answer.json()["errors"][0]["line"]) == (422, 2)


class TestGzip:
    def test_members_of_any_number_and_pieces_of_any_size(self, gateway: Any, keep: Any) -> None:
        packed = gzip.compress(jsonl(PROMPTS[:1])) + gzip.compress(b"") + gzip.compress(jsonl(PROMPTS[1:]))

        async def bytewise() -> Any:
            for byte in packed:
                yield bytes([byte])

        made = keep(jsonl(PROMPTS)).json()
        headers = {**JSONL, "Content-Encoding": "gzip"}
        answer = gateway.post("/v1/datasets", content=bytewise(), headers=headers)
        assert (answer.status_code, answer.json()) == (200, made)

    @pytest.mark.parametrize(
        "packed", [b"", b"{}", gzip.compress(jsonl(PROMPTS))[:-3], gzip.compress(b"") + b"x"]
    )
    def test_what_is_no_gzip(self, keep: Any, packed: bytes) -> None:
        answer = keep(packed, **{"Content-Encoding": "gzip"})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_body")

    def test_other_encodings(self, keep: Any) -> None:
        answer = keep(jsonl(PROMPTS), **{"Content-Encoding": "br"})
        assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "gzip")

    @pytest.mark.parametrize(
        ("path", "kind"), [("/v1/datasets", JSONL), ("/v1/analyses", {"Content-Type": "application/json"})]
    )
    def test_a_bomb_is_refused(self, gateway: Any, path: str, kind: dict[str, str]) -> None:
        answer = gateway.post(path, content=bomb(), headers={**kind, "Content-Encoding": "gzip"})
        assert answer.status_code in {413, 422}, answer.text

    def test_a_bomb_is_hardly_inflated(self) -> None:
        """Of 200 MB hardly more than one is made."""
        made: list[int] = []
        with pytest.raises(BodyTooLarge) as refused:
            made.extend(map(len, Inflation().feed(bomb()[:4096])))
        assert refused.value.code == "compression_bomb"
        assert sum(made) <= RATIO_FROM_BYTES

    def test_requests_may_be_compressed_too(self, gateway: Any, request_body: dict[str, Any]) -> None:
        body = gzip.compress(json.dumps(request_body).encode())
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        assert gateway.post("/v1/analyses", content=body, headers=headers).status_code == 202


class TestAnalyses:
    def test_an_analysis_names_its_prompts(self, keep: Any, submit: Any, gateway: Any) -> None:
        made = keep(jsonl(PROMPTS)).json()["id"]
        path = submit(prompts={"dataset": made})
        assert gateway.get(path).json()["spec"]["prompts"] == {"dataset": made}

    def test_one_that_is_not_there(self, gateway: Any, request_body: dict[str, Any]) -> None:
        answer = gateway.post("/v1/analyses", json={**request_body, "prompts": {"dataset": "ds_1"}})
        assert (answer.status_code, answer.json()["code"]) == (422, "unknown_dataset")
        assert answer.json()["errors"][0]["pointer"] == "/prompts/dataset"

    @pytest.mark.parametrize(
        "prompts", [{"dataset": "../x"}, {"dataset": "ds_1", "inline": []}, {"dataset": 1}]
    )
    def test_other_names(self, gateway: Any, request_body: dict[str, Any], prompts: Any) -> None:
        answer = gateway.post("/v1/analyses", json={**request_body, "prompts": prompts})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"].startswith("/prompts")

    def test_its_prompts_must_suit_the_signal(self, keep: Any, gateway: Any, request_body: Any) -> None:
        made = keep(jsonl([PROMPTS[0], {"id": "none", "prompt": "x"}])).json()["id"]
        answer = gateway.post("/v1/analyses", json={**request_body, "prompts": {"dataset": made}})
        assert (answer.status_code, answer.json()["code"]) == (422, "answer_missing")
        assert "`none`" in answer.json()["detail"]
        assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/prompts/dataset"]

    def test_its_size_counts(self, keep: Any, gateway: Any, request_body: Any) -> None:
        made = keep(jsonl(PROMPTS)).json()["id"]
        budget = {"max_samples_per_prompt": 2_000_000}
        body = {**request_body, "prompts": {"dataset": made}, "budget": budget}
        answer = gateway.post("/v1/analyses", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "too_many_samples")
        assert "3 prompts" in answer.json()["detail"]

    def test_a_data_set_in_use_stays(self, keep: Any, gateway: Any, submit: Any, worker: Any) -> None:
        made = keep(jsonl(PROMPTS)).json()["id"]
        path = submit(prompts={"dataset": made})
        answer = gateway.request("DELETE", f"/v1/datasets/{made}")
        assert (answer.status_code, answer.json()["code"]) == (409, "dataset_in_use")
        gateway.post(f"{path}/cancel")
        assert gateway.request("DELETE", path).status_code == 204
        assert gateway.request("DELETE", f"/v1/datasets/{made}").status_code == 204
        assert gateway.get(f"/v1/datasets/{made}").status_code == 404
        assert list(worker.store.keys_older_than(-60)) == []


def test_the_collector_leaves_data_sets_alone(keep: Any, gateway: Any, engine: Engine, worker: Any) -> None:
    made = keep(jsonl(PROMPTS)).json()["id"]
    worker.store.put("default/ds_gone/prompts.jsonl", b"x")
    assert collect(engine, worker.store, orphan_seconds=-60) == 1
    assert gateway.get(f"/v1/datasets/{made}/content").status_code == 200


@pytest.mark.parametrize(("method", "rest"), [("GET", ""), ("GET", "/content"), ("DELETE", "")])
def test_another_tenants_data_set_does_not_exist(
    gateway: Any, keep: Any, engine: Engine, request_body: Any, method: str, rest: str
) -> None:
    made = keep(jsonl(PROMPTS)).json()["id"]
    with write(engine) as conn:
        conn.execute(update(datasets).values(tenant_id="other"))
    answer = gateway.request(method, f"/v1/datasets/{made}{rest}")
    assert (answer.status_code, answer.json()["code"]) == (404, "dataset_not_found")
    assert gateway.get("/v1/datasets").json()["data"] == []
    named = gateway.post("/v1/analyses", json={**request_body, "prompts": {"dataset": made}})
    assert named.json()["code"] == "unknown_dataset"
    assert keep(jsonl(PROMPTS)).status_code == 201


def test_the_same_upload_twice_at_once_is_kept_once(
    gateway: Any, keep: Any, worker: Any, monkeypatch: Any
) -> None:
    """The second looks before the first has committed."""
    from service.datasets import upload

    first = keep(jsonl(PROMPTS)).json()
    looks = iter([None])
    real = upload.datasets.of_content

    def too_early(*arguments: Any) -> Any:
        return real(*arguments) if next(looks, ...) is ... else None

    monkeypatch.setattr(upload.datasets, "of_content", too_early)
    answer = keep(jsonl(PROMPTS))
    assert (answer.status_code, answer.json()) == (200, first)
    assert len(list(worker.store.keys_older_than(-60))) == 1


def test_a_full_store_is_said_so(keep: Any, gateway: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> Any:
        raise StoreUnavailable("no space left on device")

    monkeypatch.setattr(type(gateway.app.state.resources.artefacts), "put", full)
    answer = keep(jsonl(PROMPTS))
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert gateway.get("/v1/datasets").json()["data"] == []
