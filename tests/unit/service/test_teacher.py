"""A teacher goes through the checks of every other participant."""

import json
from typing import Any

import pytest
from sqlalchemy import Engine

from ledger import models
from ledger.database import write


@pytest.fixture
def taught(request_body: dict[str, Any], engine: Engine, model_record: Any) -> dict[str, Any]:
    with write(engine) as conn:
        models.upsert(conn, "default", model_record("tiny-sft", weights_digest="c" * 64))
        models.upsert(conn, "default", model_record("foreign", tokenizer_digest="d" * 64))
        models.upsert(conn, "default", model_record("broken", state="invalid", error="no tokenizer"))
        models.upsert(conn, "default", model_record("short", context_length=8))
        models.upsert(conn, "default", model_record("lora", kind="adapter", base="tiny-base"))
    shown = [{"text": "42"}, {"text": "43"}]
    return {
        **request_body,
        "kind": "free_energy",
        "signal": {"kind": "demonstrations"},
        "prompts": {"inline": [{"id": f"p{n}", "prompt": "1+1=", "demonstrations": shown} for n in (0, 1)]},
        "teacher": {"source": "model", "model": "tiny-sft"},
    }


def refused(answer: Any) -> tuple[str, str, str]:
    problem = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    return problem["code"], problem["errors"][0]["pointer"], problem["errors"][0]["detail"]


def test_it_is_accepted_and_kept_in_the_spec(gateway: Any, taught: dict[str, Any]) -> None:
    answer = gateway.post("/v1/analyses", json=taught)
    assert answer.status_code == 202, answer.text
    assert answer.json()["spec"]["teacher"] == {"source": "model", "model": "tiny-sft"}
    assert gateway.post("/v1/analyses", json={**taught, "teacher": {"model": "lora"}}).status_code == 202


@pytest.mark.parametrize(
    ("model", "code", "pointer"),
    [
        ("tiny-stf", "unknown_model", "/teacher/model"),
        ("broken", "invalid_model", "/teacher/model"),
        ("foreign", "tokenizer_mismatch", "/teacher/model"),
        ("short", "context_exceeded", "/policy/max_new_tokens"),
    ],
)
def test_a_model_that_cannot_teach_is_refused(
    gateway: Any, taught: dict[str, Any], model: str, code: str, pointer: str
) -> None:
    found = refused(gateway.post("/v1/analyses", json={**taught, "teacher": {"model": model}}))
    assert found[:2] == (code, pointer)
    assert f"`{model}`" in found[2]


def test_a_log_cannot_teach(gateway: Any, taught: dict[str, Any]) -> None:
    log = {"source": "import", "import": "imp_01JD8ZC6Q5V6TQ3N4R5S6T7V8W"}
    assert refused(gateway.post("/v1/analyses", json={**taught, "teacher": log}))[0] == "validation_failed"


def test_a_teacher_is_for_demonstrations(gateway: Any, taught: dict[str, Any]) -> None:
    code, _, detail = refused(gateway.post("/v1/analyses", json={**taught, "signal": {"kind": "exact"}}))
    assert code == "validation_failed"
    assert "for the signal `demonstrations`" in detail


@pytest.mark.parametrize("kept", [False, True])
def test_one_law_has_one_source(gateway: Any, taught: dict[str, Any], kept: bool) -> None:
    """A `logprob` beside a teacher is refused where it stands; without the teacher it is welcome."""
    taught["prompts"]["inline"][1]["demonstrations"] = [{"text": "42"}, {"text": "43", "logprob": -1.5}]
    where = "/prompts/inline/1/demonstrations/1/logprob"
    if kept:
        lines = b"".join(json.dumps(one).encode() + b"\n" for one in taught["prompts"]["inline"])
        stored = gateway.post("/v1/datasets", content=lines, headers={"Content-Type": "application/jsonl"})
        taught["prompts"], where = {"dataset": stored.json()["id"]}, "/prompts/dataset"
    code, pointer, detail = refused(gateway.post("/v1/analyses", json=taught))
    assert (code, pointer) == ("demonstrations_law_named_twice", where)
    assert "demonstration 1 of prompt `p1`" in detail
    assert gateway.post("/v1/analyses", json={**taught, "teacher": None}).status_code == 202


def test_a_plan_counts_what_it_reads(gateway: Any, taught: dict[str, Any]) -> None:
    """Two prompts: four pilots of 64 are read once more each side, and four demonstrations once more."""

    def scored(**changes: Any) -> int:
        answer = gateway.post("/v1/analyses?validate_only=true", json={**taught, **changes})
        return int(answer.json()["scored_tokens"]["pilot"])

    assert scored(teacher=None) == (4 * 64 + 4 * 2) * 8
    assert scored() == (2 * 4 * 64 + 4 * 3) * 8
    drawn = gateway.post("/v1/analyses?validate_only=true", json=taught).json()["samples"]
    assert drawn["pilot"] == 4 * 64
