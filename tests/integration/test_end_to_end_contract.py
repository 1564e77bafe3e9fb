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
