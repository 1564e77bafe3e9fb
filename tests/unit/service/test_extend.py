"""Going on with an analysis that has ended."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine

from ledger import webhooks as hooks
from ledger.database import read, write
from ledger.tables import outbox

RESULT = {
    "result.json": (b'{"object":"analysis.result","revision":1}', "application/json"),
    "report.html": (b"<p>first</p>", "text/html"),
}
FIXED = {"adaptive": False, "samples_per_prompt": 32}
MORE = {"budget": {"samples_per_prompt": 64}}


@pytest.fixture
def succeeded(submit: Any, worker: Any) -> str:
    path: str = submit(budget=FIXED)
    worker.finish(RESULT)
    return path


def extend(gateway: Any, path: str, body: dict[str, Any] = MORE, **headers: str) -> Any:
    return gateway.post(
        f"{path}/extend", json=body, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


def test_it_is_accepted_and_its_result_stays_until_the_next(
    gateway: Any, succeeded: str, worker: Any
) -> None:
    answer = extend(gateway, succeeded)
    assert answer.status_code == 202, answer.text
    found = answer.json()
    assert (found["status"], found["revision"], found["result_revision"]) == ("queued", 2, 1)
    assert found["spec"]["budget"]["samples_per_prompt"] == 64
    assert found["finished_at"] is None
    assert answer.headers["location"] == found["links"]["self"] == succeeded
    assert {"etag", "retry-after"} <= set(answer.headers)
    assert gateway.get(f"{succeeded}/result").json()["revision"] == 1
    assert gateway.get(f"{succeeded}/report").text == "<p>first</p>"
    worker.finish({**RESULT, "report.html": (b"<p>second</p>", "text/html")})
    assert gateway.get(f"{succeeded}/report").text == "<p>second</p>"
    now = gateway.get(succeeded).json()
    assert (now["status"], now["revision"], now["result_revision"]) == ("succeeded", 2, 2)


def test_a_key_extends_once(gateway: Any, succeeded: str) -> None:
    first = extend(gateway, succeeded, Idempotency_Key="once")
    again = extend(gateway, succeeded, Idempotency_Key='"once"')
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()
    other = extend(gateway, succeeded, {"budget": {"samples_per_prompt": 65}}, Idempotency_Key="once")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    # The key of one analysis is no key for another.
    elsewhere = extend(gateway, "/v1/analyses/anl_other", Idempotency_Key="once")
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (422, "idempotency_key_reused")


def test_of_many_at_once_one_extends_it(gateway: Any, succeeded: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: extend(gateway, succeeded), range(16)))
    assert sorted(answer.status_code for answer in answers) == [202] + [409] * 15
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"analysis_live"}
    assert gateway.get(succeeded).json()["revision"] == 2


def test_of_many_with_one_key_all_get_the_same_answer(gateway: Any, succeeded: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: extend(gateway, succeeded, Idempotency_Key="k"), range(16)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.text for answer in answers}) == 1
    assert gateway.get(succeeded).json()["revision"] == 2


def test_a_running_one_and_one_without_a_result_are_not_extended(gateway: Any, submit: Any) -> None:
    path = submit()
    live = extend(gateway, path)
    assert (live.status_code, live.json()["code"]) == (409, "analysis_live")
    gateway.post(f"{path}/cancel")
    nothing = extend(gateway, path)
    assert (nothing.status_code, nothing.json()["code"]) == (409, "nothing_to_extend")


def test_it_may_be_meant_for_one_version(gateway: Any, succeeded: str) -> None:
    tag = gateway.get(succeeded).headers["etag"]
    gateway.request("PATCH", succeeded, json={"name": "other"}, headers={"If-Match": "*"})
    stale = extend(gateway, succeeded, If_Match=tag)
    assert (stale.status_code, stale.json()["code"]) == (412, "precondition_failed")
    assert extend(gateway, succeeded, If_Match=gateway.get(succeeded).headers["etag"]).status_code == 202


@pytest.mark.parametrize(
    ("budget", "pointer"),
    [
        ({}, "/budget"),
        ({"samples_per_prompt": 32}, "/budget"),
        ({"samples_per_prompt": 31}, "/budget/samples_per_prompt"),
        ({"max_samples_per_prompt": 5000}, "/budget"),  # a fixed plan does not follow it
        ({"max_samples_per_prompt": 100}, "/budget/max_samples_per_prompt"),
        ({"max_total_tokens": 10**9}, "/budget/max_total_tokens"),  # there was no limit
        ({"max_total_tokens": None}, "/budget"),
    ],
)
def test_a_budget_that_is_not_larger_is_refused(
    gateway: Any, succeeded: str, budget: dict[str, Any], pointer: str
) -> None:
    answer = extend(gateway, succeeded, {"budget": budget})
    assert (answer.status_code, answer.json()["code"]) == (422, "budget_not_larger"), answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert gateway.get(succeeded).json()["revision"] == 1


def test_a_budget_beyond_its_own_limits_is_refused(gateway: Any, succeeded: str) -> None:
    crossed = extend(gateway, succeeded, {"budget": {"samples_per_prompt": 5000}})
    assert (crossed.status_code, crossed.json()["code"]) == (422, "invalid_budget")
    most = {"budget": {"samples_per_prompt": 9_000_000, "max_samples_per_prompt": 9_000_000}}
    planned = extend(gateway, succeeded, most)
    assert (planned.status_code, planned.json()["code"]) == (422, "too_many_samples")
    unknown = extend(gateway, succeeded, {"budget": {"k_probe": 512}})
    assert (unknown.status_code, unknown.json()["errors"][0]["pointer"]) == (422, "/budget/k_probe")


@pytest.mark.parametrize(
    "budget", [{"max_samples_per_prompt": 5000}, {"samples_per_prompt": 65}, {"max_total_tokens": 10**7}]
)
def test_an_adaptive_plan_follows_each_part(
    gateway: Any, submit: Any, worker: Any, budget: dict[str, Any]
) -> None:
    path = submit(budget={"max_total_tokens": 10**6})
    worker.finish(RESULT)
    assert extend(gateway, path, {"budget": budget}).status_code == 202


def test_one_that_ended_early_may_go_on_under_the_budget_it_had(
    gateway: Any, succeeded: str, worker: Any
) -> None:
    extend(gateway, succeeded)
    worker.fail({"code": "model_changed", "title": "Gone", "status": 409, "detail": "gone"})
    failed = gateway.get(succeeded).json()
    assert (failed["status"], failed["result_revision"]) == ("failed", 1)
    answer = extend(gateway, succeeded, {"deadline_seconds": 3600})
    assert answer.status_code == 202, answer.text
    found = answer.json()
    assert (found["revision"], found["error"]) == (3, None)
    assert found["deadline_at"] is not None
    assert found["spec"]["budget"]["samples_per_prompt"] == 64


def test_a_model_that_is_gone_is_said_before_anything_changes(
    gateway: Any, succeeded: str, engine: Engine
) -> None:
    from ledger.tables import models

    with write(engine) as conn:
        conn.execute(models.delete().where(models.c.id == "tiny-grpo"))
    answer = extend(gateway, succeeded)
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_model")
    assert gateway.get(succeeded).json()["status"] == "succeeded"


def test_the_stream_goes_on_and_only_the_last_end_is_done(gateway: Any, succeeded: str, worker: Any) -> None:
    def types(**headers: str) -> list[str]:
        text = gateway.get(f"{succeeded}/events", headers=headers).text
        return [line.removeprefix("event: ") for line in text.splitlines() if line.startswith("event: ")]

    before = types()
    assert before[-1] == "done"
    extend(gateway, succeeded)
    worker.finish(RESULT)
    assert types()[: len(before)] == [*before[:-1], "ended"]
    assert types()[len(before)] == "extended"
    behind = types(**{"Last-Event-ID": str(len(before))})
    assert behind[0] == "extended"
    assert behind.count("done") == 1
    assert behind[-1] == "done"


def test_webhooks_are_told_of_the_new_end(gateway: Any, succeeded: str, worker: Any, engine: Engine) -> None:
    with write(engine) as conn:
        hooks.create(
            conn,
            tenant_id="default",
            webhook_id="wh_1",
            most=20,
            name=None,
            url="https://hooks.example.com/",
            events=["analysis.succeeded"],
            secret="sealed",
        )
    extend(gateway, succeeded)
    worker.finish(RESULT)
    with read(engine) as conn:
        (message,) = conn.execute(outbox.select()).all()
    assert message.kind == "analysis.succeeded"
    assert (message.payload["revision"], message.payload["result_revision"]) == (2, 2)


def test_it_is_in_the_audit_log(gateway: Any, succeeded: str) -> None:
    extend(gateway, succeeded)
    entry = gateway.get("/v1/audit").json()["data"][0]
    assert entry["action"] == "POST /v1/analyses/{analysis_id}/extend"
    assert (entry["target"], entry["status"]) == (f"{succeeded}/extend", 202)
