"""Steps of a trajectory's price of success, through the real pipelines, against planted laws."""

import json
import math

import pytest
from planted import law_with, planted_checkpoints, planted_run

from api_schemas.results import ResultDocument
from api_schemas.rows import PromptRow
from workers.estimators.success_step import APART, FEW
from workers.pipelines.plan import plan_pilot
from workers.reports.html import render_report

BUDGET = {"samples_per_prompt": 128, "max_samples_per_prompt": 512, "k_probe": 16}
CHANCES = {"p0": (0.2, (0.3, 0.6, 0.9)), "p1": (0.3, (0.3, 0.5, 0.7)), "rare": (0.001, (0.001, 0.6, 0.9))}


def run_of(prompts, **changes):
    return planted_run(prompts, budget=BUDGET, score_neighbours=True, **changes)


def valid(findings):
    document = ResultDocument.model_validate(findings.document).model_dump(mode="json", exclude_unset=True)
    rows = [PromptRow.model_validate(r).model_dump(mode="json", exclude_unset=True) for r in findings.rows]
    json.dumps([document, rows], allow_nan=False)
    return document, rows


@pytest.fixture(scope="module")
def prompts():
    return [planted_checkpoints(name, a, bs) for name, (a, bs) in CHANCES.items()]


@pytest.fixture(scope="module")
def found(prompts):
    return valid(run_of(prompts).run())


def test_every_neighbour_scores_the_pilot_and_nobody_else():
    run = run_of([planted_checkpoints("a", 0.3, (0.4, 0.5, 0.6))])
    lengths = {stream: [1] for stream in run.spec.streams}
    plan = plan_pilot(run.spec, run.participants, lengths, shard_tokens=1 << 20)
    scored = [(shard.stream, shard.scorer) for shard in plan.shards if shard.work == "score"]
    ends = [("reference", f"candidate:{i}") for i in range(3)]
    ends += [("candidate:0", "reference"), ("candidate:0", "candidate:1")]
    ends += [("candidate:1", "reference"), ("candidate:1", "candidate:0"), ("candidate:1", "candidate:2")]
    ends += [("candidate:2", "reference"), ("candidate:2", "candidate:1")]
    assert scored == ends


def test_steps_are_those_of_the_planted_laws(found):
    """Successes of a planted prompt are one text, so that each law is known on C to the last digit."""
    _, rows = found
    for row in rows:
        a, bs = CHANCES[row["prompt_id"]]
        k = row["checkpoint"]
        before, after = (a, *bs)[k], bs[k]
        step = row["success_step"]
        if min(before, after) < 0.01:
            assert (step["status"], step["reason"]) == ("undefined", FEW)
        else:
            assert step["value"] == pytest.approx(math.log(after / before), abs=1e-9)
            assert step["ci_low"] <= step["value"] <= step["ci_high"]


def test_the_mean_names_the_prompts_it_leaves_out(found):
    document, _ = found
    first, second, third = (one["success_step"] for one in document["checkpoints"])
    # From 0.2 to 0.3 and from 0.3 to 0.3, without the prompt that neither reaches.
    assert first["value"] == pytest.approx((math.log(1.5) + 0.0) / 2, abs=1e-9)
    assert first["n"] == second["n"] == 2
    assert "1 of 3 prompts excluded" in first["reason"]
    assert FEW in first["reason"]
    assert third["value"] == pytest.approx((math.log(1.5) + math.log(1.4) + math.log(1.5)) / 3, abs=1e-9)


def test_without_overlap_a_step_is_not_estimable():
    """Both checkpoints solve the prompt, each in its own way: their successes never meet."""
    one = planted_checkpoints("p", 0.2, (0.5, 0.5))
    apart = (law_with({"00": 0.5, "11": 1e-12}), law_with({"00": 1e-12, "11": 0.5}))
    prompt = type(one)("p", law_with({"00": 0.2, "11": 0.2}), None, ("00", "11"), checkpoints=apart)
    steps = {row["checkpoint"]: row["success_step"] for row in run_of([prompt]).run().rows}
    assert (steps[1]["status"], steps[1]["reason"]) == ("undefined", APART)
    # From the reference, which knows both ways, to the checkpoint that knows one: log(0.5/0.4).
    assert steps[0]["ci_low"] <= math.log(0.5 / 0.4) <= steps[0]["ci_high"]


def test_nothing_else_of_a_checkpoint_depends_on_its_neighbours(found, prompts):
    document, rows = found
    plain, plain_rows = valid(planted_run(prompts, budget=BUDGET).run())
    for mine, theirs in zip(document["checkpoints"], plain["checkpoints"], strict=True):
        assert {name: part for name, part in mine.items() if name != "success_step"} == theirs
    assert [{k: v for k, v in row.items() if k != "success_step"} for row in rows] == plain_rows


def test_the_report_has_a_column_of_steps(found):
    document, rows = found
    page = render_report(document, rows, title="run")
    section = page[page.index('<section id="training">') : page.index('<section id="reach">')]
    assert "Price fell by" in section
    plain = {**document, "checkpoints": [dict(one) for one in document["checkpoints"]]}
    for one in plain["checkpoints"]:
        one.pop("success_step")
    assert "Price fell by" not in render_report(plain, rows, title="run")
