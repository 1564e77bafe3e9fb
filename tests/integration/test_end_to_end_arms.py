"""Arms through the real service: under a truncated policy, creation is confirmed by the arm that is added."""

import pytest

from api_schemas.results import PromptRow, ResultDocument

BUDGET = {"k_use": 4, "k_probe": 16, "samples_per_prompt": 32, "max_samples_per_prompt": 256}


@pytest.fixture(scope="module")
def found(stack, prompts):
    body = {
        "kind": "capability",
        "reference": {"source": "model", "model": "tiny-base"},
        "candidate": {"source": "model", "model": "tiny-new"},
        "prompts": {
            "inline": [{**one, "metadata": {"hint": one["answer"]}} for one in prompts("new_rule", 0, 2)]
        },
        "signal": {"kind": "exact"},
        "policy": {"top_p": 0.9, "max_new_tokens": 8},
        "arms": [{"name": "hint", "role": "assisted", "template": "{metadata.hint}={prompt}"}],
        "budget": BUDGET,
        "seed": 3,
    }
    return stack.findings(stack.submit(body))


def test_creation_is_confirmed_under_the_arm_that_was_added(found):
    document = ResultDocument.model_validate(found.document)
    assert [(arm["name"], arm["role"]) for arm in found.document["frame"]["arms"]] == [
        ("untruncated", "elicitation"),
        ("hint", "assisted"),
    ]
    assert "creation_unconfirmable" not in {warning.code for warning in document.warnings}
    for row in map(PromptRow.model_validate, found.rows):
        assert row.confirmed, row
        assert [arm.class_at_k_probe for arm in row.arms if arm.role == "elicitation"] == ["out"]


def test_an_arms_samples_are_kept_under_its_name_and_counted_in_its_row(found):
    streams = found.samples["stream"].to_pylist()
    assert set(streams) == {"reference", "candidate", "arm:untruncated", "arm:hint", "untruncated"}
    for arm in found.document["support"]["arms"]:
        assert arm["samples"] == streams.count(f"arm:{arm['arm']}")
        assert arm["samples"] == sum(
            a["samples"] for r in found.rows for a in r["arms"] if a["arm"] == arm["arm"]
        )
