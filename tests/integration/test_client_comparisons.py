"""Plans and comparisons through the Python client, blocking and asynchronous."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from embedded_stack import EmbeddedStack, Findings

from tiltscope import AsyncTiltscope, InvalidRequestError, NotFoundError, Tiltscope


@pytest.fixture(scope="module")
def ids(stack: EmbeddedStack, comparison: dict[str, Any], undisturbed: Findings) -> list[str]:
    """Two finished analyses that differ in their budget."""
    budget = {**comparison["budget"], "samples_per_prompt": 8, "adaptive": False}
    small = stack.findings(stack.submit({**comparison, "budget": budget, "name": "small"}))
    return [undisturbed.document["analysis_id"], small.document["analysis_id"]]


def test_results_side_by_side(
    stack: EmbeddedStack, ids: list[str], undisturbed: Findings, tmp_path: Path
) -> None:
    with Tiltscope(stack.service.layout.url) as client:
        found = client.comparisons.get(ids)
        page = client.comparisons.page(ids, tmp_path / "page.html")
        with pytest.raises(NotFoundError):
            client.comparisons.get([ids[0], "anl_none"])
    assert [one.analysis_id for one in found.data] == ids
    assert found.model_extra == {}
    gain = found.data[0].gain
    assert gain is not None
    assert gain.total.value == undisturbed.document["gain"]["total"]["value"]
    assert [warning.code for warning in found.warnings] == ["different_budget"]
    assert page.startswith(b"<!doctype html>")
    assert (tmp_path / "page.html").read_bytes() == page
    assert b">small</a>" in page


def test_a_plan_by_names_and_as_a_request(stack: EmbeddedStack, comparison: dict[str, Any]) -> None:
    named = {
        "reference": "tiny-base",
        "candidate": "tiny-grpo",
        "prompts": comparison["prompts"]["inline"],
        "budget": comparison["budget"],
        "seed": comparison["seed"],
    }
    with Tiltscope(stack.service.layout.url) as client:
        before = [one.id for one in client.analyses.list()]
        planned = client.analyses.plan(**named)
        assert client.analyses.plan(comparison).samples == planned.samples
        assert [one.id for one in client.analyses.list()] == before
        with pytest.raises(InvalidRequestError, match="nope"):
            client.analyses.plan({**comparison, "reference": {"model": "nope"}})
    assert planned.prompts == len(comparison["prompts"]["inline"])
    assert planned.samples.pilot == 2 * 32 * planned.prompts
    assert planned.model_extra == {}


def test_the_asynchronous_client_has_both(
    stack: EmbeddedStack, ids: list[str], comparison: dict[str, Any]
) -> None:
    async def go() -> tuple[Any, bytes, Any]:
        async with AsyncTiltscope(stack.service.layout.url) as client:
            found = await client.comparisons.get(ids)
            return found, await client.comparisons.page(ids), await client.analyses.plan(comparison)

    found, page, planned = asyncio.run(go())
    assert [one.analysis_id for one in found.data] == ids
    assert b">small</a>" in page
    assert planned.samples.pilot > 0
