import copy
import threading
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from ledger import models
from ledger.database import read, write
from ledger.tables import analyses, shards


def count(engine: Engine, table: Any = analyses) -> int:
    with read(engine) as conn:
        return int(conn.execute(select(func.count()).select_from(table)).scalar_one())


def refused(answer: Any, code: str, pointer: str) -> str:
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["code"] == code
    assert problem["errors"][0]["pointer"] == pointer
    return str(problem["errors"][0]["detail"])


def changed(body: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The body with one place changed: `a.b.0`."""
    body = copy.deepcopy(body)
    node: Any = body
    *steps, last = path.split(".")
    for step in steps:
        node = node[int(step)] if isinstance(node, list) else node.setdefault(step, {})
    node[last] = value
    return body


def test_an_analysis_is_accepted_with_its_first_shard(
    gateway: Any, engine: Engine, request_body: dict[str, Any]
) -> None:
    answer = gateway.post("/v1/analyses", json=request_body)
    analysis = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/analyses/{analysis['id']}" == analysis["links"]["self"]
    assert int(answer.headers["retry-after"]) > 0
    assert "preference-applied" not in answer.headers
    assert analysis["status"] == "queued"
    assert analysis["name"] == request_body["name"]
    assert (count(engine), count(engine, shards)) == (1, 1)


def test_the_spec_is_the_request_with_every_default(gateway: Any, request_body: dict[str, Any]) -> None:
    spec = gateway.post("/v1/analyses", json=request_body).json()["spec"]
    assert spec == {
        **request_body,
        "prompts": {
            "inline": [
                {**request_body["prompts"]["inline"][0], "messages": None, "answers": None}
                | {"split": None, "metadata": None, "choices": None, "tests": None, "demonstrations": None}
            ]
        },
        "signal": {"kind": "exact", "extract": None, "behaviour": None},
        "second_signal": None,
        "audit": None,
        "policy": {
            "temperature": 1.0,
            "top_k": 0,
            "top_p": 1.0,
            "min_p": 0.0,
            "max_new_tokens": 8,
            "stop": [],
        },
        "budget": {
            "k_use": 8,
            "k_probe": 256,
            "samples_per_prompt": 64,
            "max_samples_per_prompt": 4096,
            "max_total_tokens": None,
            "untruncated_samples_per_prompt": 64,
            "adaptive": True,
        },
        "score_neighbours": False,
        "share_proposals": False,
        "arms": [],
        "inverse_temperatures": [0.5, 1.0, 2.0],
        "decision": {
            "alpha": 0.05,
            "reach": 0.5,
            "elicitation_max_share": 0.05,
            "creation_min_share": 0.5,
            "mixed_min_share": 0.05,
            "mixed_max_share": 0.95,
            "undetermined_max_share": 0.3,
            "unusable_max_share": 0.1,
            "collapse_max_entropy_share": 0.5,
            "drift_dominated_min_share": 0.5,
            "drift_dominated_min_nats": 0.1,
            "format_repair_max_share": 0.5,
        },
        "candidates": None,
        "teacher": None,
        "deadline_seconds": None,
        "seed": 0,
    }


@pytest.mark.parametrize(
    ("path", "value", "pointer"),
    [
        ("policy.temperature", 0, "/policy/temperature"),
        ("policy.temperature", "hot", "/policy/temperature"),
        ("policy", {"min_p": 0.1, "top_k": 5}, "/policy"),
        ("budget.k_probe", 4, "/budget"),
        ("prompts.inline.0.answers", ["42"], "/prompts/inline/0"),
        ("prompts.inline.0.extra", 1, "/prompts/inline/0/extra"),
        ("signal", {"kind": "exact", "absolute_tolerance": 1}, "/signal/absolute_tolerance"),
        ("signal", {"kind": "numeric", "absolute_tolerance": -1}, "/signal/absolute_tolerance"),
        ("signal", {"kind": "regex", "extract": {}}, "/signal/extract"),
        ("signal", {"kind": "telepathy"}, "/signal/kind"),
        ("signal", {}, "/signal"),
        ("labels", {"a:b": "x"}, "/labels/a:b"),
        ("candidate", None, ""),
        ("reference.model", "../etc/passwd", "/reference/model"),
        ("seed", 2**63, "/seed"),
        ("surprise", 1, "/surprise"),
    ],
)
def test_what_breaks_the_contract_is_refused_with_its_place(
    gateway: Any, engine: Engine, request_body: dict[str, Any], path: str, value: Any, pointer: str
) -> None:
    answer = gateway.post("/v1/analyses", json=changed(request_body, path, value))
    refused(answer, "validation_failed", pointer)
    assert count(engine) == 0


def test_greedy_decoding_is_refused_in_words(gateway: Any, request_body: dict[str, Any]) -> None:
    answer = gateway.post("/v1/analyses", json=changed(request_body, "policy.temperature", 0))
    assert answer.json()["detail"].startswith("temperature 0 is greedy decoding")


def test_an_unknown_model_is_refused_with_those_there_are(gateway: Any, request_body: dict[str, Any]) -> None:
    answer = gateway.post("/v1/analyses", json=changed(request_body, "reference.model", "tiny-bse"))
    detail = refused(answer, "unknown_model", "/reference/model")
    assert "tiny-base, tiny-grpo" in detail


def test_a_model_that_cannot_be_read_is_refused_with_the_reason(
    gateway: Any, engine: Engine, request_body: dict[str, Any], model_record: Any
) -> None:
    with write(engine) as conn:
        models.upsert(conn, "default", model_record("broken", state="invalid", error="no tokenizer"))
    answer = gateway.post("/v1/analyses", json=changed(request_body, "candidate.model", "broken"))
    assert "no tokenizer" in refused(answer, "invalid_model", "/candidate/model")


def test_an_adapter_is_a_side_like_any_other(
    gateway: Any, engine: Engine, request_body: dict[str, Any], model_record: Any
) -> None:
    with write(engine) as conn:
        models.upsert(conn, "default", model_record("lora", kind="adapter", base="tiny-base"))
    answer = gateway.post("/v1/analyses", json=changed(request_body, "candidate.model", "lora"))
    assert answer.status_code == 202


def test_completions_must_leave_room_for_the_prompt(gateway: Any, request_body: dict[str, Any]) -> None:
    fits = changed(request_body, "policy.max_new_tokens", 63)
    assert gateway.post("/v1/analyses", json=fits).status_code == 202
    answer = gateway.post("/v1/analyses", json=changed(request_body, "policy.max_new_tokens", 64))
    refused(answer, "context_exceeded", "/policy/max_new_tokens")


def test_a_decomposition_needs_one_tokenizer_and_counts_do_not(
    gateway: Any, engine: Engine, request_body: dict[str, Any], model_record: Any
) -> None:
    with write(engine) as conn:
        models.upsert(conn, "default", model_record("foreign", tokenizer_digest="d" * 64))
    foreign = changed(request_body, "candidate.model", "foreign")
    assert gateway.post("/v1/analyses", json=foreign).status_code == 202
    answer = gateway.post("/v1/analyses", json={**foreign, "kind": "free_energy"})
    refused(answer, "tokenizer_mismatch", "/candidate/model")


def test_prompt_ids_must_differ_and_texts_need_not(gateway: Any, request_body: dict[str, Any]) -> None:
    first = request_body["prompts"]["inline"][0]
    same_text = changed(request_body, "prompts.inline", [first, {**first, "id": "p2"}])
    assert gateway.post("/v1/analyses", json=same_text).status_code == 202
    same_id = changed(request_body, "prompts.inline", [first, {**first, "id": "p2"}, {**first, "id": "p1"}])
    answer = gateway.post("/v1/analyses", json=same_id)
    refused(answer, "duplicate_prompt_id", "/prompts/inline/2/id")


@pytest.mark.parametrize(
    ("budget", "accepted"),
    [
        # One prompt, two sides: 5,000,000 each are ten million together.
        ({"max_samples_per_prompt": 5_000_000}, True),
        ({"max_samples_per_prompt": 5_000_001}, False),
        ({"adaptive": False, "max_samples_per_prompt": 10_000_000}, True),
        (
            {"adaptive": False, "samples_per_prompt": 5_000_001, "max_samples_per_prompt": 5_000_001},
            False,
        ),
    ],
)
def test_planned_samples_are_bounded(
    gateway: Any, request_body: dict[str, Any], budget: dict[str, Any], accepted: bool
) -> None:
    answer = gateway.post("/v1/analyses", json={**request_body, "budget": budget})
    if accepted:
        assert answer.status_code == 202
    else:
        field = "max_samples_per_prompt" if budget.get("adaptive", True) else "samples_per_prompt"
        assert "at most 5,000,000 here" in refused(answer, "too_many_samples", f"/budget/{field}")


def test_every_finding_is_listed_and_the_list_is_bounded(gateway: Any, request_body: dict[str, Any]) -> None:
    prompts = [{"id": f"p{i}", "prompt": "x"} for i in range(150)]
    answer = gateway.post("/v1/analyses", json=changed(request_body, "prompts.inline", prompts))
    refused(answer, "answer_missing", "/prompts/inline/0")
    assert len(answer.json()["errors"]) == 100
    assert "(and 149 more)" in answer.json()["detail"]


class TestIdempotency:
    KEY = "8e03978e-40d5-43e8-bc93-6894a57f9324"

    def test_the_same_request_is_answered_with_the_same_analysis(
        self, gateway: Any, engine: Engine, request_body: dict[str, Any]
    ) -> None:
        headers = {"Idempotency-Key": self.KEY}
        first = gateway.post("/v1/analyses", json=request_body, headers=headers)
        again = gateway.post(
            "/v1/analyses",
            json=dict(reversed(request_body.items())),
            headers={"Idempotency-Key": f'"{self.KEY}"'},
        )
        assert "idempotent-replayed" not in first.headers
        assert again.headers["idempotent-replayed"] == "true"
        assert (again.status_code, again.json()) == (202, first.json())
        assert again.headers["location"] == first.headers["location"]
        assert count(engine) == 1

    def test_another_request_under_the_key_is_refused(
        self, gateway: Any, engine: Engine, request_body: dict[str, Any]
    ) -> None:
        headers = {"Idempotency-Key": self.KEY}
        gateway.post("/v1/analyses", json=request_body, headers=headers)
        answer = gateway.post("/v1/analyses", json={**request_body, "seed": 1}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
        assert count(engine) == 1

    def test_other_keys_and_no_key_make_new_analyses(
        self, gateway: Any, engine: Engine, request_body: dict[str, Any]
    ) -> None:
        for headers in ({"Idempotency-Key": "a"}, {"Idempotency-Key": "b"}, {}, {}):
            assert gateway.post("/v1/analyses", json=request_body, headers=headers).status_code == 202
        assert count(engine) == 4

    def test_a_replay_outlives_the_model_it_names(
        self, gateway: Any, engine: Engine, request_body: dict[str, Any]
    ) -> None:
        headers = {"Idempotency-Key": self.KEY}
        first = gateway.post("/v1/analyses", json=request_body, headers=headers)
        with write(engine) as conn:
            models.mark_missing(conn, "default", [])
        again = gateway.post("/v1/analyses", json=request_body, headers=headers)
        assert again.json()["id"] == first.json()["id"]

    def test_a_refused_request_uses_no_key_up(self, gateway: Any, request_body: dict[str, Any]) -> None:
        headers = {"Idempotency-Key": self.KEY}
        wrong = changed(request_body, "reference.model", "no-such")
        assert gateway.post("/v1/analyses", json=wrong, headers=headers).status_code == 422
        assert gateway.post("/v1/analyses", json=request_body, headers=headers).status_code == 202

    def test_many_at_once_make_one_analysis(
        self, gateway: Any, engine: Engine, request_body: dict[str, Any]
    ) -> None:
        answers: list[Any] = []

        def post() -> None:
            answer = gateway.post("/v1/analyses", json=request_body, headers={"Idempotency-Key": self.KEY})
            answers.append((answer.status_code, answer.json()["id"]))

        threads = [threading.Thread(target=post) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(answers) == 12
        assert len(set(answers)) == 1
        assert answers[0][0] == 202
        assert count(engine) == 1

    @pytest.mark.parametrize("key", ["", '""', "two words", "x" * 256, '"unclosed'])
    def test_unusable_keys_are_refused(
        self, gateway: Any, engine: Engine, request_body: dict[str, Any], key: str
    ) -> None:
        answer = gateway.post("/v1/analyses", json=request_body, headers={"Idempotency-Key": key})
        if key == '"unclosed':  # visible characters: a bare key may hold a quote
            assert answer.status_code == 202
        else:
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_idempotency_key")
            assert count(engine) == 0


def test_a_token_budget_has_to_hold_the_pilot(gateway: Any, request_body: dict[str, Any]) -> None:
    answer = gateway.post("/v1/analyses", json={**request_body, "budget": {"max_total_tokens": 10}})
    assert "the pilot alone" in refused(answer, "too_few_tokens", "/budget/max_total_tokens")
    roomy = {**request_body, "budget": {"max_total_tokens": 10_000_000}}
    assert gateway.post("/v1/analyses", json=roomy).status_code == 202


def test_a_second_signal_and_an_audit_are_checked_too(gateway: Any, request_body: dict[str, Any]) -> None:
    second = {"kind": "regex", "pattern": "(?=a)"}
    problem = gateway.post("/v1/analyses", json={**request_body, "second_signal": second}).json()
    assert (problem["code"], problem["errors"][0]["pointer"]) == ("invalid_pattern", "/second_signal/pattern")
    audit = {"texts": [{"prompt_id": "nobody", "text": "x", "is_right": True}]}
    problem = gateway.post("/v1/analyses", json={**request_body, "audit": audit}).json()
    assert (problem["code"], problem["errors"][0]["pointer"]) == (
        "unknown_prompt",
        "/audit/texts/0/prompt_id",
    )


def test_a_reward_model_has_a_head(gateway: Any, request_body: dict[str, Any]) -> None:
    signal = {"kind": "reward_model", "model": "nobody", "success_threshold": 0}
    problem = gateway.post("/v1/analyses", json={**request_body, "signal": signal}).json()
    assert (problem["code"], problem["errors"][0]["pointer"]) == ("unknown_model", "/signal/model")
    signal["model"] = request_body["reference"]["model"]
    problem = gateway.post("/v1/analyses", json={**request_body, "signal": signal}).json()
    assert (problem["code"], problem["errors"][0]["pointer"]) == ("unsupported_model", "/signal/model")


def trajectory(body: dict[str, Any], *candidates: dict[str, Any]) -> dict[str, Any]:
    plain = {name: value for name, value in body.items() if name != "candidate"}
    return {**plain, "kind": "trajectory", "candidates": list(candidates)}


def test_a_trajectory_names_its_checkpoints_in_training_order(
    gateway: Any, request_body: dict[str, Any]
) -> None:
    both = (
        {"model": request_body["candidate"]["model"], "step": 100},
        {"model": request_body["reference"]["model"]},
    )
    answer = gateway.post("/v1/analyses", json=trajectory(request_body, *both))
    assert answer.status_code == 202, answer.text
    spec = answer.json()["spec"]
    assert [one["step"] for one in spec["candidates"]] == [100, None]
    assert spec["candidate"] is None


@pytest.mark.parametrize(
    ("change", "pointer", "words"),
    [
        ({"candidates": None}, "", "`candidates` is required"),
        ({"candidates": []}, "/candidates", "at least 1"),
        ({"candidates": [{"model": f"m{i}"} for i in range(65)]}, "/candidates", "at most 64"),
        ({"candidates": [{"model": "a"}, {"model": "a"}]}, "/candidates", "`a` is checkpoint 0 already"),
        (
            {"candidates": [{"model": "a", "step": 20}, {"model": "b", "step": 10}]},
            "/candidates",
            "step 10, not after 20",
        ),
        ({"candidate": {"model": "a"}}, "", "takes `candidates`, not `candidate`"),
        ({"kind": "capability"}, "", "`candidates` is for kind `trajectory`"),
    ],
)
def test_what_is_no_trajectory_is_refused(
    gateway: Any, request_body: dict[str, Any], change: dict[str, Any], pointer: str, words: str
) -> None:
    body = trajectory(request_body, {"model": request_body["candidate"]["model"]}) | change
    answer = gateway.post("/v1/analyses", json=body)
    assert answer.status_code == 422, answer.text
    error = answer.json()["errors"][0]
    assert error["pointer"] == pointer
    assert words in error["detail"]


def test_a_checkpoint_with_another_tokenizer_is_refused_where_it_is_named(
    gateway: Any, engine: Engine, request_body: dict[str, Any], model_record: Any
) -> None:
    with write(engine) as conn:
        models.upsert(conn, "default", model_record("foreign", tokenizer_digest="t" * 64))
    named = {"model": request_body["candidate"]["model"]}, {"model": "foreign"}
    answer = gateway.post("/v1/analyses", json=trajectory(request_body, *named))
    refused(answer, "tokenizer_mismatch", "/candidates/1/model")
    missing = {"model": request_body["candidate"]["model"]}, {"model": "nowhere"}
    answer = gateway.post("/v1/analyses", json=trajectory(request_body, *missing))
    refused(answer, "unknown_model", "/candidates/1/model")
