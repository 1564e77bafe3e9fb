"""A KL under a truncated policy comes from separate untruncated draws; the exact one by enumeration."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from exact_world import exact_prompts
from local_run import LocalRun, request
from planted import planted, planted_run

from api_schemas.requests import AnalysisRequest
from api_schemas.results import ResultDocument
from service.analyses.plan_checks import untruncated_draws
from workers.engines.policy import Policy
from workers.pipelines.spec import AnalysisSpec

EXAMPLES = Path(__file__).parents[3] / "examples"


def spec_of(**changes):
    lines = (EXAMPLES / "prompts" / "basin_tail.jsonl").read_text().splitlines()[:3]
    budget = {"samples_per_prompt": 16, "max_samples_per_prompt": 16, "untruncated_samples_per_prompt": 96}
    return request(
        [json.loads(line) for line in lines],
        **{"kind": "free_energy", "policy": {"top_p": 0.9, "max_new_tokens": 3}, "budget": budget, **changes},
    )


def test_the_untruncated_kl_is_that_of_the_raw_laws():
    models = EXAMPLES / "models"
    run = LocalRun(spec_of(), {"reference": models / "tiny-base", "candidate": models / "tiny-sft"})
    findings = run.run()
    energy = ResultDocument.model_validate(findings.document).free_energy
    found = energy.kl_untruncated
    raw = replace(run.spec, policy=Policy(max_new_tokens=run.spec.policy.max_new_tokens))
    exact = np.mean([p.kl for p in exact_prompts(raw, run.engines["reference"], run.engines["candidate"])])
    assert math.isfinite(exact)
    # The candidate is peaked: what its 96 draws did not show is a thousandth of the KL, and of its error.
    assert found.kl.value == pytest.approx(exact, rel=0.01)
    assert found.samples_per_prompt == 96
    assert (found.policy["temperature"], found.policy["top_p"]) == (1.0, 1.0)
    # The policy's own KL stays what it is.
    assert energy.kl.status == "undefined" or energy.kl.value is not None
    streams = set(run.committed(with_samples=True).samples["stream"].to_pylist())
    assert streams == {"reference", "candidate", "untruncated"}


def test_planted_laws_and_prompts_without_the_draws():
    prompts = [planted(f"p{i}", 0.3, 0.6) for i in range(4)]
    budget = {"samples_per_prompt": 64, "max_samples_per_prompt": 64}
    run = planted_run(prompts, kind="free_energy", budget=budget, policy={"top_k": 5})
    section = run.run().document["free_energy"]["kl_untruncated"]
    assert section["kl"]["value"] == pytest.approx(np.mean([p.kl for p in prompts]), abs=0.15)
    assert section["samples_per_prompt"] == 64
    failing = planted_run(
        prompts, kind="free_energy", budget=budget, policy={"top_k": 5},
        run={"fails": lambda number, shard: shard.stream == "untruncated" and shard.work == "score"},
    )  # fmt: skip
    lost = failing.run(partial=True).document
    assert lost["free_energy"]["kl_untruncated"]["kl"]["status"] == "undefined"
    assert lost["free_energy"]["kl"]["value"] is not None


@pytest.mark.parametrize(
    ("changes", "drawn"),
    [
        ({}, 96),
        ({"policy": {}}, 0),
        ({"policy": {"temperature": 0.5}}, 0),
        ({"kind": "support"}, 0),
        ({"budget": {"untruncated_samples_per_prompt": 0}}, 0),
    ],
)
def test_the_draws_are_made_where_a_kl_is_lost(changes, drawn):
    body = spec_of(**changes)
    spec = AnalysisSpec.from_request(body)
    assert ("untruncated" in spec.streams) == bool(drawn)
    assert "untruncated" not in spec.sides
    assert untruncated_draws(AnalysisRequest.model_validate(body)) == drawn
    if drawn:
        assert spec.pilot("untruncated", 0) == drawn
        assert spec.pilot("reference", 0) == 16
