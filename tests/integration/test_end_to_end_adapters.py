"""A LoRA adapter as the candidate, through the whole service."""

import json
from pathlib import Path

import pytest

from workers.engines.digests import adapter_digest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def found(stack, comparison):
    candidate = {"source": "model", "model": "tiny-lora"}
    return stack.findings(stack.submit({**comparison, "candidate": candidate}))


def test_the_registry_lists_it_with_its_base(stack):
    entry = stack.get("/v1/models/tiny-lora")
    assert (entry["kind"], entry["base"], entry["status"]) == ("adapter", "tiny-base", "ready")
    assert entry["weights_digest"] == stack.get("/v1/models/tiny-base")["weights_digest"]


def test_the_frame_names_base_and_adapter(found):
    frame = found.document["frame"]
    assert frame["candidate"]["weights_digest"] == frame["reference"]["weights_digest"]
    assert frame["candidate"]["adapter_digest"] == adapter_digest(EXAMPLES / "models" / "tiny-lora")
    assert frame["reference"]["adapter_digest"] is None
    assert "identical_models" not in {warning["code"] for warning in found.document["warnings"]}


def test_its_successes_are_those_of_the_merged_model(found):
    exact = json.loads((EXAMPLES / "prices.json").read_text())
    for side, model in (("reference", "tiny-base"), ("candidate", "tiny-lora")):
        for row in found.rows:
            # 99.99 %: twelve intervals must all hold.
            success, price = row[side], exact[model]["basin_tail"][row["prompt_id"]]
            spread = 4.5 * (price * (1 - price) / success["samples"]) ** 0.5
            assert abs(success["successes"] / success["samples"] - price) < spread + 1 / success["samples"]


def test_what_it_learnt_is_elicitation(found):
    assert found.document["verdict"]["gain_p_value"] < 0.05
    assert found.document["support"]["regimes"]["unreached"] == 0
    assert found.document["gain"]["created"]["value"] == 0
