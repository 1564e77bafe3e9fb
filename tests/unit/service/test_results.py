import hashlib
import json
import os
from typing import Any

import pytest

from workers.pipelines.prompt_pages import prompt_pages

ROWS_TYPE = "application/json"


def estimate(value: float | None, ci_low: float | None = None) -> dict[str, Any]:
    status = "ok" if value is not None else ("censored" if ci_low is not None else "undefined")
    return {
        "value": value,
        "std_error": None,
        "ci_low": ci_low,
        "ci_high": None,
        "confidence": 0.95,
        "n": 64,
        "unit": "nats",
        "status": status,
        "reason": "" if status == "ok" else "no success",
    }


def row(
    prompt_id: str,
    *,
    regime: str | None,
    gain: float | None,
    price: float | None,
    price_low: float | None = None,
) -> dict[str, Any]:
    side = {
        "successes": 0,
        "samples": 64,
        "success": estimate(0.0),
        "price": estimate(price, price_low),
        "class_at_k_use": "out",
        "class_at_k_probe": "undetermined",
    }
    found = {
        "prompt_id": prompt_id,
        "family": None,
        "split": None,
        "gain": estimate(gain),
        "reference": side,
        "evidence": [],
        "samples_to_settle": None,
    }
    return found if regime is None else {**found, "regime": regime}


ROWS = [
    row("a", regime="tail", gain=0.5, price=3.0),
    row("b", regime="basin", gain=None, price=None, price_low=9.0),
    row("c", regime=None, gain=-0.25, price=None),
    row("d", regime="undetermined", gain=0.75, price=0.5),
    row("e", regime="basin", gain=0.5, price=4.0),
]


def prompt_files(rows: list[dict[str, Any]], *, indexed: bool = True) -> dict[str, tuple[bytes, str]]:
    """The rows as workers store them; results of earlier versions have no index."""
    made = prompt_pages(rows)
    index = {"prompts.index.json": (json.dumps(made.index).encode(), ROWS_TYPE)} if indexed else {}
    return {"prompts.json": (made.data, ROWS_TYPE), **index}


@pytest.fixture(params=[True, False], ids=["indexed", "whole"])
def finished(submit: Any, worker: Any, request: pytest.FixtureRequest) -> str:
    path: str = submit()
    worker.finish(
        {
            "result.json": (b'{"object": "analysis.result"}', "application/json"),
            **prompt_files(ROWS, indexed=request.param),
            "report.html": (b"<!doctype html><p>report</p>", "text/html; charset=utf-8"),
            "samples.parquet": (bytes(range(256)) * 10, "application/vnd.apache.parquet"),
        }
    )
    return path


class TestResult:
    def test_the_stored_bytes_are_sent(self, gateway: Any, finished: str) -> None:
        answer = gateway.get(f"{finished}/result")
        assert (answer.status_code, answer.content) == (200, b'{"object": "analysis.result"}')
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["etag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"'

    def test_it_is_not_sent_twice(self, gateway: Any, finished: str) -> None:
        tag = gateway.get(f"{finished}/result").headers["etag"]
        answer = gateway.get(f"{finished}/result", headers={"If-None-Match": tag})
        assert (answer.status_code, answer.content) == (304, b"")

    @pytest.mark.parametrize("rest", ["result", "prompts", "report"])
    def test_before_the_end_it_is_not_ready(self, gateway: Any, submit: Any, rest: str) -> None:
        answer = gateway.get(f"{submit()}/{rest}")
        assert (answer.status_code, answer.json()["code"]) == (409, "result_not_ready")
        assert int(answer.headers["retry-after"]) > 0

    @pytest.mark.parametrize("rest", ["result", "prompts", "report"])
    def test_an_end_without_a_result_says_so(self, gateway: Any, submit: Any, rest: str) -> None:
        path = submit()
        gateway.post(f"{path}/cancel")
        answer = gateway.get(f"{path}/{rest}")
        assert (answer.status_code, answer.json()["code"]) == (409, "no_result")

    @pytest.mark.parametrize("rest", ["result", "prompts", "report", "artifacts/result.json"])
    @pytest.mark.parametrize("damage", ["altered", "gone"])
    def test_damaged_files_are_never_sent(
        self, gateway: Any, submit: Any, worker: Any, rest: str, damage: str
    ) -> None:
        path = submit()
        names = ("result.json", "prompts.json", "report.html")
        worker.finish(dict.fromkeys(names, (b"[]", "application/json")))
        for name in names:
            file = worker.store.path_of(f"default/{path.rpartition('/')[2]}/{name}")
            os.chmod(file, 0o644)
            if damage == "gone":
                file.unlink()
            else:
                file.write_bytes(b"{}")
        answer = gateway.get(f"{path}/{rest}")
        assert (answer.status_code, answer.json()["code"]) == (500, "artifact_unreadable")
        assert str(worker.store.root) not in answer.text


class TestReport:
    def test_it_may_load_nothing_and_has_no_part_in_the_origin(self, gateway: Any, finished: str) -> None:
        answer = gateway.get(f"{finished}/report")
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        directives = answer.headers["content-security-policy"].split("; ")
        assert directives[0] == "default-src 'none'"
        assert "sandbox allow-scripts" in directives
        assert not any("http" in directive or "self" in directive for directive in directives[:-2])
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "content-disposition" not in answer.headers


class TestArtifacts:
    def test_they_are_listed_by_name(self, gateway: Any, finished: str) -> None:
        listing = gateway.get(f"{finished}/artifacts").json()
        names = ["prompts.json", "report.html", "result.json", "samples.parquet"]
        listed = [entry["name"] for entry in listing["data"] if entry["name"] != "prompts.index.json"]
        assert listed == names
        assert (listing["has_more"], listing["next_cursor"]) == (False, None)
        last = listing["data"][-1]
        assert (last["bytes"], last["media_type"]) == (2560, "application/vnd.apache.parquet")
        data = gateway.get(last["href"])
        assert hashlib.sha256(data.content).hexdigest() == last["sha256"]

    def test_they_are_downloads(self, gateway: Any, finished: str) -> None:
        answer = gateway.get(f"{finished}/artifacts/report.html")
        assert answer.headers["content-disposition"] == 'attachment; filename="report.html"'
        assert "sandbox" in answer.headers["content-security-policy"]

    def test_a_part_can_be_asked_for(self, gateway: Any, finished: str) -> None:
        answer = gateway.get(f"{finished}/artifacts/samples.parquet", headers={"Range": "bytes=10-12"})
        assert (answer.status_code, answer.content) == (206, bytes([10, 11, 12]))

    @pytest.mark.parametrize("name", ["nope", "..%2Fledger.sqlite3", "%2Fetc%2Fpasswd", ".tmp"])
    def test_other_names_do_not_exist(self, gateway: Any, finished: str, name: str) -> None:
        assert gateway.get(f"{finished}/artifacts/{name}").status_code == 404

    def test_before_the_end_there_are_none(self, gateway: Any, submit: Any) -> None:
        assert gateway.get(f"{submit()}/artifacts").json()["data"] == []


class TestPrompts:
    def read(self, gateway: Any, path: str, **params: Any) -> list[str]:
        seen: list[str] = []
        after: dict[str, str] = {}
        while True:
            answer = gateway.get(f"{path}/prompts", params={**params, **after})
            assert answer.status_code == 200, answer.text
            page = answer.json()
            seen += [entry["prompt_id"] for entry in page["data"]]
            if not page["has_more"]:
                assert page["next_cursor"] is None
                return seen
            after = {"after": page["next_cursor"]}

    @pytest.mark.parametrize("limit", [1, 2, 5, 100])
    @pytest.mark.parametrize(
        ("params", "order"),
        [
            ({}, "abcde"),
            ({"sort": "gain"}, "caedb"),  # -0.25, 0.5, 0.5 (as asked), 0.75, undefined
            ({"sort": "gain", "order": "desc"}, "daecb"),
            ({"sort": "price"}, "daebc"),  # 0.5, 3, 4, at least 9, undefined
            ({"sort": "price", "order": "desc"}, "beadc"),
            ({"sort": "regime"}, "beadc"),  # basin, basin, tail, undetermined, none
            ({"sort": "regime", "order": "desc"}, "dabec"),
        ],
    )
    def test_rows_come_in_the_order_asked_for(
        self, gateway: Any, finished: str, limit: int, params: dict[str, str], order: str
    ) -> None:
        assert self.read(gateway, finished, limit=limit, **params) == list(order)

    def test_rows_are_sent_as_they_were_stored(self, gateway: Any, finished: str) -> None:
        assert gateway.get(f"{finished}/prompts").json()["data"] == ROWS

    def test_a_table_has_the_same_order(self, gateway: Any, finished: str) -> None:
        text = gateway.get(f"{finished}/prompts", params={"format": "csv", "sort": "price"}).text
        assert [line.partition(",")[0] for line in text.splitlines()] == ["prompt_id", *"daebc"]

    def test_a_cursor_keeps_its_order(self, gateway: Any, finished: str) -> None:
        page = gateway.get(f"{finished}/prompts", params={"limit": 1, "sort": "gain"}).json()
        answer = gateway.get(f"{finished}/prompts", params={"limit": 1, "after": page["next_cursor"]})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_cursor")
