"""The contract's ways in and out, against the real service."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from embedded_stack import EmbeddedStack, Findings


@pytest.fixture
def compared(undisturbed: Findings) -> str:
    """The id of the comparison, which has succeeded."""
    return str(undisturbed.document["analysis_id"])


def pick(row: Mapping[str, Any], names: Sequence[str]) -> list[Any]:
    return [row[name] for name in names]


def test_prompts_of_a_data_set_give_what_they_give_inline(
    stack: EmbeddedStack, comparison: dict[str, Any], undisturbed: Findings
) -> None:
    lines = "".join(json.dumps(prompt) + "\n" for prompt in comparison["prompts"]["inline"])
    kept = stack.client.post(
        "/v1/datasets", content=lines.encode(), headers={"Content-Type": "application/jsonl"}
    )
    assert kept.status_code == 201, kept.text
    found = stack.findings(stack.submit({**comparison, "prompts": {"dataset": kept.json()["id"]}}))
    assert found.rows == undisturbed.rows
    assert found.samples == undisturbed.samples


def test_samples_can_be_paged_as_they_were_drawn(stack: EmbeddedStack, compared: str) -> None:
    drawn = stack.table(compared, "samples.parquet").to_pylist()
    seen: list[dict[str, Any]] = []
    params: dict[str, Any] = {"limit": 100, "side": "candidate"}
    while True:
        page = stack.get(f"/v1/analyses/{compared}/samples", **params)
        seen += page["data"]
        if not page["has_more"]:
            break
        params["after"] = page["next_cursor"]
    wanted = [row for row in drawn if row["stream"] == "candidate"]
    shared = ("prompt_id", "index", "text", "finish_reason", "outcome")
    assert [[row[name] for name in shared] for row in seen] == [
        [row[name] for name in shared] for row in wanted
    ]
    assert [row["tokens"] for row in seen] == [len(row["token_ids"]) for row in wanted]


def as_log(samples: Sequence[Mapping[str, Any]], prompts: Sequence[Mapping[str, Any]], stream: str) -> bytes:
    """One side's samples as our own JSON Lines, in another order of prompts than the request's."""
    of_prompt: dict[str, list[dict[str, Any]]] = {}
    for row in samples:
        if row["stream"] == stream:
            ended = "length" if row["finish_reason"] == "length" else "stop"
            of_prompt.setdefault(row["prompt_id"], []).append({"text": row["text"], "finish_reason": ended})
    asked = {prompt["id"]: prompt for prompt in prompts}
    lines = [
        {"id": f"{stream}-{name}", "prompt": asked[name]["prompt"], "answer": asked[name]["answer"]}
        | {"completions": completions}
        for name, completions in reversed(of_prompt.items())
    ]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


@pytest.fixture(scope="module")
def fixed(stack: EmbeddedStack, comparison: dict[str, Any]) -> Findings:
    """The comparison by the fixed plan, which imported samples follow."""
    budget = {**comparison["budget"], "adaptive": False}
    return stack.findings(stack.submit({**comparison, "budget": budget}))


class TestImports:
    def imported(self, stack: EmbeddedStack, log: bytes) -> str:
        answer = stack.client.post("/v1/imports", params={"format": "jsonl"}, content=log)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def test_logs_of_both_sides_give_the_counts_that_sampling_gave(
        self, stack: EmbeddedStack, comparison: dict[str, Any], fixed: Findings
    ) -> None:
        prompts, samples = comparison["prompts"]["inline"], fixed.samples.to_pylist()
        sides = {
            side: {"source": "import", "import": self.imported(stack, as_log(samples, prompts, side))}
            for side in ("reference", "candidate")
        }
        body = {name: comparison[name] for name in ("kind", "signal", "budget", "seed")}
        found = stack.findings(stack.submit({**body, **sides}))
        assert found.document["usage"]["samples"] == 0
        assert found.document["gain"]["total"]["value"] == fixed.document["gain"]["total"]["value"]
        for side in ("reference", "candidate"):
            ours, theirs = (f.document["support"][side] for f in (found, fixed))
            assert ours["outcomes"] == theirs["outcomes"]
            assert ours["pass_at_k"] == theirs["pass_at_k"]
        kl = found.document["free_energy"]["kl"]
        assert (kl["value"], kl["status"]) == (None, "undefined")
        assert "imported" in kl["reason"]
        counted = {row["prompt_id"]: row["candidate"]["successes"] for row in found.rows}
        assert counted == {
            f"reference-{row['prompt_id']}": row["candidate"]["successes"] for row in fixed.rows
        }
        codes = {warning["code"] for warning in found.document["warnings"]}
        assert "imported_samples" in codes
        assert "tokenizers_differ" not in codes

    def test_a_log_beside_a_model(
        self, stack: EmbeddedStack, comparison: dict[str, Any], fixed: Findings
    ) -> None:
        prompts = comparison["prompts"]["inline"]
        log = self.imported(stack, as_log(fixed.samples.to_pylist(), prompts, "reference"))
        found = stack.findings(stack.submit({**comparison, "reference": {"source": "import", "import": log}}))
        assert [row["prompt_id"] for row in found.rows] == [prompt["id"] for prompt in prompts]
        assert found.document["gain"]["total"]["value"] == fixed.document["gain"]["total"]["value"]

    def test_a_log_that_cannot_be_read_fails_what_waits_for_it(
        self, stack: EmbeddedStack, comparison: dict[str, Any]
    ) -> None:
        log = self.imported(stack, b'{"prompt": "1+1=", "completion": "2"}\n{"prompt": "2+2="}\n')
        side = {"source": "import", "import": log}
        ended = stack.ended(stack.submit({**comparison, "reference": side}))
        assert (ended["status"], ended["error"]["code"]) == ("failed", "invalid_import")
        assert "line 2" in ended["error"]["detail"]
        assert stack.get(f"/v1/imports/{log}")["error"]["code"] == "invalid_log"

    def test_prompts_that_do_not_pair_are_refused(
        self, stack: EmbeddedStack, comparison: dict[str, Any]
    ) -> None:
        log = self.imported(stack, b'{"prompt": "another question", "completion": "2"}\n')
        side = {"source": "import", "import": log}
        ended = stack.ended(stack.submit({**comparison, "reference": side}))
        assert (ended["status"], ended["error"]["code"]) == ("failed", "unpaired_prompts")
