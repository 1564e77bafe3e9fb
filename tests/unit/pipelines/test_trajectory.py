"""Trajectories: every checkpoint as if it were analysed alone, on reference draws that all share."""

import json

import numpy as np
import pytest
from planted import planted, planted_checkpoints, planted_run

from api_schemas.results import ResultDocument
from api_schemas.rows import PromptRow
from workers.pipelines.checkpoints import checkpoint_view
from workers.pipelines.plan import plan_pilot

BUDGET = {"samples_per_prompt": 64, "max_samples_per_prompt": 2048, "k_probe": 32}


def valid(findings):
    document = ResultDocument.model_validate(findings.document).model_dump(mode="json", exclude_unset=True)
    rows = [
        PromptRow.model_validate(row).model_dump(mode="json", exclude_unset=True) for row in findings.rows
    ]
    json.dumps([document, rows], allow_nan=False)
    return document, rows


def chances():
    """By prompt: the reference, then checkpoints that learn, go on learning, and forget two prompts."""
    learning = [(0.05, (0.06, 0.5, 0.9))] * 8 + [(0.4, (0.45, 0.7, 0.9))] * 4
    return [*learning, (0.5, (0.5, 0.5, 0.0)), (0.6, (0.6, 0.5, 0.0))]


@pytest.fixture(scope="module")
def run():
    prompts = [planted_checkpoints(f"p{i}", a, bs) for i, (a, bs) in enumerate(chances())]
    return planted_run(prompts, budget=BUDGET)


@pytest.fixture(scope="module")
def trajectory(run):
    return valid(run.run())


def test_the_run_learns_and_then_forgets(trajectory):
    document, _ = trajectory
    labels = [one["verdict"]["label"] for one in document["checkpoints"]]
    assert labels == ["inconclusive", "elicitation", "elicitation"]
    gains = [one["gain"]["total"]["value"] for one in document["checkpoints"]]
    assert gains[0] < gains[1]
    assert [one["shrinkage"]["certified"] for one in document["checkpoints"]] == [False, False, True]
    assert document["checkpoints"][2]["shrinkage"]["prompt_ids"] == ["p12", "p13"]
    assert document["first_shrinkage"] == {"checkpoint": 2, "candidate": "candidate:2", "step": 20}
    assert [one["step"] for one in document["checkpoints"]] == [0, 10, 20]
    needed = document["checkpoints"][0]["shrinkage"]["needed_log_e_value"]
    assert needed == pytest.approx(np.log(3 / 0.05))


def test_an_audit_takes_its_part_of_the_level_of_the_whole_run(run):
    audit = {"counts": {"right": 5_000, "accepted_right": 5_000, "wrong": 5_000, "accepted_wrong": 0}}
    few = planted_run(run.prompts[-3:], budget=BUDGET, audit=audit)
    document, _ = valid(few.run())
    needed = [one["shrinkage"]["needed_log_e_value"] for one in document["checkpoints"]]
    assert needed == pytest.approx([np.log(3 / (0.75 * 0.05))] * 3)
    assert document["first_shrinkage"]["checkpoint"] == 2


def test_rows_name_their_checkpoint(trajectory):
    _, rows = trajectory
    assert [row["checkpoint"] for row in rows] == [i for i in range(3) for _ in range(14)]
    assert [row["prompt_id"] for row in rows[:14]] == [f"p{i}" for i in range(14)]
    regimes = [row["regime"] for row in rows if row["prompt_id"] == "p12"]
    assert regimes[2] == "lost"


def test_the_reference_is_drawn_once_for_all(run, trajectory):
    document, rows = trajectory
    drawn = run.committed(with_samples=True)
    reference = [row["reference"]["samples"] for row in rows[:14]]
    for index in range(3):
        assert [row["reference"]["samples"] for row in rows[14 * index : 14 * (index + 1)]] == reference
    assert (
        sum(reference)
        == drawn.samples.filter(np.asarray(drawn.samples["stream"].to_pylist()) == "reference").num_rows
    )
    assert document["frame"]["candidates"][1]["model"] == "candidate:1"
    assert set(document["support"]) == {"reference"}


def test_a_checkpoint_alone_draws_the_same_and_finds_the_same(run, trajectory):
    document, rows = trajectory
    prompts = [planted(f"p{i}", a, bs[1]) for i, (a, bs) in enumerate(chances())]
    alone = planted_run(prompts, budget=BUDGET)
    own, own_rows = valid(alone.run())
    mine, theirs = run.committed(with_samples=True).samples, alone.committed(with_samples=True).samples
    texts = {}
    for name, table, stream in (("in", mine, "candidate:1"), ("alone", theirs, "candidate")):
        rows_of = [row for row in table.to_pylist() if row["stream"] == stream]
        texts[name] = {(row["prompt_index"], row["index"]): row["text"] for row in rows_of}
    assert texts["in"] == texts["alone"]
    entry = document["checkpoints"][1]
    assert entry["verdict"]["label"] == own["verdict"]["label"]
    assert entry["gain"]["total"]["value"] == own["gain"]["total"]["value"]
    assert entry["free_energy"]["kl"] == own["free_energy"]["kl"]
    kls = [row["kl"] for row in rows if row["checkpoint"] == 1]
    assert kls == [row["kl"] for row in own_rows]


def test_a_run_of_one_checkpoint_is_that_checkpoints_analysis():
    one = planted_run([planted_checkpoints(f"p{i}", 0.05, (0.9,)) for i in range(12)], budget=BUDGET)
    document, rows = valid(one.run())
    own, own_rows = valid(planted_run([planted(f"p{i}", 0.05, 0.9) for i in range(12)], budget=BUDGET).run())
    entry = document["checkpoints"][0]
    for part in ("verdict", "gain", "free_energy", "support"):
        assert entry[part] == own[part], part
    assert [{k: v for k, v in row.items() if k != "checkpoint"} for row in rows] == own_rows
    assert document["first_shrinkage"] is None


def test_reference_samples_are_scored_by_every_checkpoint():
    run = planted_run([planted_checkpoints("a", 0.3, (0.4, 0.5)), planted_checkpoints("b", 0.3, (0.4, 0.5))])
    lengths = {stream: [1, 1] for stream in run.spec.streams}
    plan = plan_pilot(run.spec, run.participants, lengths, shard_tokens=1 << 20)
    scored = [(shard.stream, shard.scorer) for shard in plan.shards if shard.work == "score"]
    assert scored == [
        ("reference", "candidate:0"),
        ("reference", "candidate:1"),
        ("candidate:0", "reference"),
        ("candidate:1", "reference"),
    ]
    run.run_round(plan.shards)
    view = checkpoint_view(run.spec, run.participants, run.committed(with_samples=True), "candidate:1")
    assert set(view.committed.samples["stream"].unique().to_pylist()) == {"reference", "candidate"}
    pairs = set(
        zip(
            view.committed.scores["stream"].to_pylist(),
            view.committed.scores["scorer"].to_pylist(),
            strict=True,
        )
    )
    assert pairs == {("reference", "candidate"), ("candidate", "reference")}
    assert view.committed.scores.num_rows == 4 * 64


def test_a_top_up_serves_the_checkpoint_that_claims_creation():
    """Only the last checkpoint claims creation of c; every verdict then knows what the reference lacks."""
    prompts = [planted_checkpoints(f"c{i}", 1e-9, (0.0, 0.9)) for i in range(12)]
    document, rows = valid(planted_run(prompts, budget=BUDGET).run())
    assert document["checkpoints"][1]["verdict"]["label"] == "creation"
    for row in rows:
        assert row["reference"]["class_at_k_probe"] == "out"
    assert {row["candidate"]["samples"] for row in rows if row["checkpoint"] == 0} == {64}


def test_a_checkpoint_without_its_pilot_leaves_the_others_whole():
    fails = {"fails": lambda _, s: s.work == "verify" and s.stream == "candidate:0" and s.items[0][0] == 1}
    prompts = [planted_checkpoints(f"p{i}", 0.3, (0.6, 0.7)) for i in range(3)]
    run = planted_run(prompts, budget=BUDGET, run={**fails, "shard_tokens": 512})
    _, rows = valid(run.run(partial=True))
    kept = [[row["prompt_id"] for row in rows if row["checkpoint"] == i] for i in range(2)]
    assert kept == [["p0", "p2"], ["p0", "p1", "p2"]]


def test_creation_is_confirmed_at_a_checkpoint_of_a_truncated_policy():
    """Temperature 1 without truncation is added as an arm once, and its draws serve every checkpoint."""
    prompts = [planted_checkpoints(f"p{i}", 1e-9, (1e-9, 0.9)) for i in range(12)]
    made = planted_run(prompts, budget=BUDGET, policy={"top_p": 0.9})
    document, rows = valid(made.run())
    assert [arm["name"] for arm in document["frame"]["arms"]] == ["untruncated"]
    first, second = document["checkpoints"]
    assert (first["verdict"]["label"], second["verdict"]["label"]) == ("inconclusive", "creation")
    assert all(row["confirmed"] == (row["checkpoint"] == 1) for row in rows)
    assert "creation_unconfirmable" not in {w["code"] for w in [*document["warnings"], *second["warnings"]]}
    assert second["support"]["arms"][0]["out"] == len(prompts)
