from typing import Any

import pytest
from sqlalchemy import Engine

from ledger.claims import renew

ANY_VERSION = {"If-Match": "*"}


def test_an_analysis_reads_as_it_was_accepted(gateway: Any, submit: Any) -> None:
    path = submit()
    answer = gateway.get(path)
    assert answer.status_code == 200
    assert answer.json()["links"] == {
        "self": path,
        "cancel": f"{path}/cancel",
        "extend": f"{path}/extend",
        "events": f"{path}/events",
        "result": f"{path}/result",
        "report": f"{path}/report",
    }
    assert answer.json()["usage"] == {
        "samples": 0,
        "sampled_tokens": 0,
        "scored_tokens": 0,
        "cached_samples": 0,
        "engine_seconds": 0.0,
    }
    assert answer.json()["created_at"].endswith("Z")


@pytest.mark.parametrize("analysis_id", ["anl_01JD8ZC6Q5V6TQ3N4R5S6T7V8W", "%00", "a'b", "x" * 200, "é"])
def test_unknown_ids_are_all_answered_alike(gateway: Any, analysis_id: str) -> None:
    answer = gateway.get(f"/v1/analyses/{analysis_id}")
    assert (answer.status_code, answer.json()["code"]) == (404, "analysis_not_found")
    assert analysis_id not in answer.text


class TestEntityTag:
    def test_an_unchanged_analysis_is_not_sent_again(self, gateway: Any, submit: Any) -> None:
        path = submit()
        tag = gateway.get(path).headers["etag"]
        assert tag.startswith('W/"')
        for sent in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
            answer = gateway.get(path, headers={"If-None-Match": sent})
            assert (answer.status_code, answer.content) == (304, b"")
            assert answer.headers["etag"] == tag

    def test_a_change_and_the_progress_of_a_running_shard_make_a_new_tag(
        self, gateway: Any, engine: Engine, submit: Any, worker: Any
    ) -> None:
        path = submit()
        tags = [gateway.get(path).headers["etag"]]
        gateway.request("PATCH", path, json={"name": "other"}, headers=ANY_VERSION)
        tags.append(gateway.get(path).headers["etag"])
        claim = worker.sampling(100)
        tags.append(gateway.get(path).headers["etag"])
        renew(engine, claim, progress=40, lease_seconds=60)
        answer = gateway.get(path, headers={"If-None-Match": tags[-1]})
        assert answer.status_code == 200
        assert answer.json()["progress"]["completed"] == 40
        assert len({*tags, answer.headers["etag"]}) == 4


class TestProgress:
    def test_rows_and_their_pace_give_the_time_left(
        self, gateway: Any, engine: Engine, submit: Any, worker: Any
    ) -> None:
        path = submit()
        assert gateway.get(path).json()["progress"]["eta_seconds"] is None
        renew(engine, worker.sampling(80), progress=20, lease_seconds=60)
        progress = gateway.get(path).json()["progress"]
        assert (progress["phase"], progress["completed"], progress["total"]) == ("sampling", 20, 80)
        assert progress["fraction"] == 0.25
        assert progress["eta_seconds"] >= 0

    def test_a_finished_analysis_is_whole(self, gateway: Any, submit: Any, worker: Any) -> None:
        path = submit()
        worker.finish({})
        analysis = gateway.get(path).json()
        assert analysis["status"] == "succeeded"
        assert analysis["progress"]["fraction"] == 1
        assert analysis["progress"]["eta_seconds"] is None
        assert analysis["usage"]["engine_seconds"] == 1.0  # two shards of half a second


def test_a_failed_analysis_tells_its_problem(gateway: Any, submit: Any, worker: Any) -> None:
    path = submit()
    worker.fail({"title": "Unprocessable", "status": 422, "code": "prompt_too_long", "detail": "p1 is long"})
    analysis = gateway.get(path).json()
    assert analysis["status"] == "failed"
    assert analysis["error"]["code"] == "prompt_too_long"


class TestWaiting:
    def test_a_wait_ends_when_the_analysis_does(self, gateway: Any, submit: Any) -> None:
        path = submit()
        gateway.post(f"{path}/cancel")
        answer = gateway.get(path, headers={"Prefer": "wait=60"})
        assert answer.json()["status"] == "cancelled"
        assert answer.headers["preference-applied"] == "wait=60"
        assert "retry-after" not in answer.headers

    def test_a_wait_that_is_too_short_gives_the_present_state(self, gateway: Any, submit: Any) -> None:
        answer = gateway.get(submit(), headers={"Prefer": "respond-async, wait=0"})
        assert (answer.status_code, answer.json()["status"]) == (200, "queued")
        assert answer.headers["preference-applied"] == "wait=0"

    def test_a_submission_waits_and_is_still_only_accepted(
        self, gateway: Any, request_body: dict[str, Any]
    ) -> None:
        answer = gateway.post("/v1/analyses", json=request_body, headers={"Prefer": "wait=0"})
        assert (answer.status_code, answer.headers["preference-applied"]) == (202, "wait=0")

    @pytest.mark.parametrize(
        ("prefer", "applied"),
        [("wait=3600", "wait=60"), ('Wait="0"', "wait=0"), ("return=minimal", None), ("wait=soon", None)],
    )
    def test_preferences_are_capped_and_unknown_ones_ignored(
        self, gateway: Any, submit: Any, prefer: str, applied: str | None
    ) -> None:
        path = submit()
        gateway.post(f"{path}/cancel")
        answer = gateway.get(path, headers={"Prefer": prefer})
        assert answer.status_code == 200
        assert answer.headers.get("preference-applied") == applied


class TestList:
    def test_pages_run_from_the_newest_without_gap_or_repeat(self, gateway: Any, submit: Any) -> None:
        paths = [submit(name=f"n{i}") for i in range(5)]
        seen, after = [], None
        while True:
            page = gateway.get(
                "/v1/analyses", params={"limit": 2, **({"after": after} if after else {})}
            ).json()
            seen += [entry["links"]["self"] for entry in page["data"]]
            submit(name="arrived meanwhile")
            after = page["next_cursor"]
            assert page["has_more"] == (after is not None)
            if after is None:
                break
        assert seen == paths[::-1]

    def test_filters_select(self, gateway: Any, submit: Any) -> None:
        one = submit(labels={"run": "a"})
        two = submit(labels={"run": "b"}, kind="support", candidate=None)
        gateway.post(f"{one}/cancel")

        def found(**params: str) -> list[str]:
            answer = gateway.get("/v1/analyses", params=params)
            assert answer.status_code == 200
            return [entry["links"]["self"] for entry in answer.json()["data"]]

        assert found(status="cancelled") == [one]
        assert found(kind="support") == [two]
        assert found(label="run:b") == [two]
        assert found(label="run:c") == []
        assert found(status="cancelled", label="run:b") == []

    @pytest.mark.parametrize("key", ['a"b', "a.b", "$", "a\\b", "ключ", "a]"])
    def test_any_label_can_be_found_again(self, gateway: Any, submit: Any, key: str) -> None:
        path = submit(labels={key: "x:y"})
        submit(labels={"other": "x:y"})
        answer = gateway.get("/v1/analyses", params={"label": f"{key}:x:y"})
        assert [entry["links"]["self"] for entry in answer.json()["data"]] == [path]

    def test_a_cursor_keeps_its_filters(self, gateway: Any, submit: Any) -> None:
        submit(), submit()
        cursor = gateway.get("/v1/analyses", params={"limit": 1}).json()["next_cursor"]
        answer = gateway.get("/v1/analyses", params={"limit": 1, "after": cursor, "status": "queued"})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_cursor")

    @pytest.mark.parametrize(
        ("params", "parameter"),
        [
            ({"limit": "0"}, "limit"),
            ({"limit": "101"}, "limit"),
            ({"limit": "x"}, "limit"),
            ({"status": "done"}, "status"),
            ({"kind": "vibes"}, "kind"),
            ({"label": "novalue"}, "label"),
            ({"after": "junk"}, "after"),
            ({"stauts": "failed"}, "stauts"),
        ],
    )
    def test_wrong_parameters_are_named(self, gateway: Any, params: dict[str, str], parameter: str) -> None:
        answer = gateway.get("/v1/analyses", params=params)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["parameter"] == parameter


class TestCancel:
    def test_cancelling_twice_changes_nothing_more(self, gateway: Any, submit: Any) -> None:
        path = submit()
        first = gateway.post(f"{path}/cancel")
        again = gateway.post(f"{path}/cancel")
        assert (first.status_code, again.status_code) == (202, 202)
        assert first.json()["status"] == "cancelled"
        assert again.json() == first.json()

    def test_a_running_analysis_is_cancelling(self, gateway: Any, submit: Any, worker: Any) -> None:
        path = submit()
        worker.sampling(10)
        assert gateway.post(f"{path}/cancel").json()["status"] == "cancelling"

    def test_a_finished_analysis_stays_as_it_is(self, gateway: Any, submit: Any, worker: Any) -> None:
        path = submit()
        worker.finish({})
        assert gateway.post(f"{path}/cancel").json()["status"] == "succeeded"


class TestChange:
    def test_name_and_labels_change_and_the_request_does_not(self, gateway: Any, submit: Any) -> None:
        path = submit()
        answer = gateway.request(
            "PATCH", path, json={"name": "new", "labels": {"a": "b"}}, headers=ANY_VERSION
        )
        assert (answer.json()["name"], answer.json()["labels"]) == ("new", {"a": "b"})
        assert answer.json()["spec"]["name"] == "grpo-step-400 against base"
        assert answer.json()["version"] > 1

    def test_what_is_absent_stays_and_null_clears_the_name(self, gateway: Any, submit: Any) -> None:
        path = submit()
        answer = gateway.request("PATCH", path, json={"name": None}, headers=ANY_VERSION)
        assert answer.json()["name"] is None
        assert answer.json()["labels"] == {"run": "grpo-7"}

    def test_an_empty_change_changes_nothing(self, gateway: Any, submit: Any) -> None:
        path = submit()
        assert gateway.request("PATCH", path, json={}, headers=ANY_VERSION).json()["version"] == 1

    def test_nothing_else_can_be_changed(self, gateway: Any, submit: Any) -> None:
        answer = gateway.request("PATCH", submit(), json={"seed": 1}, headers=ANY_VERSION)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/seed")


class TestPreconditions:
    def test_a_change_must_say_what_it_changes(self, gateway: Any, submit: Any) -> None:
        path = submit()
        answer = gateway.request("PATCH", path, json={"name": "new"})
        assert (answer.status_code, answer.json()["code"]) == (428, "precondition_required")
        assert gateway.get(path).json()["name"] == "grpo-step-400 against base"

    def test_of_two_who_saw_the_same_version_one_changes_it(self, gateway: Any, submit: Any) -> None:
        path = submit()
        seen = {"If-Match": gateway.get(path).headers["etag"]}
        first = gateway.request("PATCH", path, json={"name": "first"}, headers=seen)
        second = gateway.request("PATCH", path, json={"name": "second"}, headers=seen)
        assert (first.status_code, second.status_code) == (200, 412)
        assert second.json()["code"] == "precondition_failed"
        assert gateway.get(path).json()["name"] == "first"
        again = gateway.request(
            "PATCH", path, json={"name": "second"}, headers={"If-Match": first.headers["etag"]}
        )
        assert again.json()["name"] == "second"

    def test_progress_is_no_edit(self, gateway: Any, engine: Engine, submit: Any, worker: Any) -> None:
        path = submit()
        claim = worker.sampling(rows=4)
        seen = {"If-Match": gateway.get(path).headers["etag"]}
        renew(engine, claim, progress=2)
        assert gateway.request("PATCH", path, json={"name": "new"}, headers=seen).status_code == 200

    def test_one_of_several_tags_is_enough(self, gateway: Any, submit: Any) -> None:
        tag = {"If-Match": '"7", W/"1-0-0"'}
        assert gateway.request("PATCH", submit(), json={"name": "new"}, headers=tag).status_code == 200

    @pytest.mark.parametrize("tag", ["1", '"x"', 'W/"1-0"', '"1-0-0", 2', ""])
    def test_other_tags_are_refused(self, gateway: Any, submit: Any, tag: str) -> None:
        answer = gateway.request("PATCH", submit(), json={"name": "new"}, headers={"If-Match": tag})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_header")

    def test_a_removal_may_be_meant_for_one_version_only(
        self, gateway: Any, submit: Any, worker: Any
    ) -> None:
        path = submit()
        seen = {"If-Match": gateway.get(path).headers["etag"]}
        worker.finish({})
        assert gateway.request("DELETE", path, headers=seen).status_code == 412
        assert gateway.request("DELETE", path, headers={"If-Match": "*"}).status_code == 204


class TestDelete:
    def test_a_live_analysis_stays(self, gateway: Any, submit: Any) -> None:
        path = submit()
        answer = gateway.request("DELETE", path)
        assert (answer.status_code, answer.json()["code"]) == (409, "analysis_live")
        assert gateway.get(path).status_code == 200

    def test_a_finished_one_goes_with_its_files(self, gateway: Any, submit: Any, worker: Any) -> None:
        path = submit()
        worker.finish({"result.json": (b"{}", "application/json")})
        assert list(worker.store.keys_older_than(-60))
        answer = gateway.request("DELETE", path)
        assert (answer.status_code, answer.content) == (204, b"")
        assert gateway.get(path).status_code == 404
        assert gateway.request("DELETE", path).status_code == 404
        assert list(worker.store.keys_older_than(-60)) == []


@pytest.mark.parametrize(
    ("method", "rest"),
    [
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/cancel"),
        ("GET", "/result"),
        ("GET", "/prompts"),
        ("GET", "/samples"),
        ("GET", "/artifacts"),
        ("GET", "/artifacts/result.json"),
        ("GET", "/report"),
        ("GET", "/events"),
    ],
)
def test_another_tenants_analysis_does_not_exist(
    gateway: Any, engine: Engine, submit: Any, method: str, rest: str
) -> None:
    from sqlalchemy import update

    from ledger.database import write
    from ledger.tables import analyses

    path = submit()
    with write(engine) as conn:
        conn.execute(update(analyses).values(tenant_id="other"))
    options = {"json": {"name": "x"}, "headers": ANY_VERSION} if method == "PATCH" else {}
    answer = gateway.request(method, f"{path}{rest}", **options)
    assert (answer.status_code, answer.json()["code"]) == (404, "analysis_not_found")
    assert gateway.get("/v1/analyses").json()["data"] == []
