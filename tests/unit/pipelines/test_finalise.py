"""From committed tables to the document: what holds whatever the data."""

import json
import math
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from local_run import LocalRun, request
from planted import PlantedPrompt, planted, planted_run, random_law
from tiny_models import build_tiny_model

from api_schemas.results import ResultDocument
from api_schemas.rows import PromptRow
from workers.pipelines.tables import PlanMismatchError

SMALL = {"samples_per_prompt": 8, "max_samples_per_prompt": 64, "k_probe": 16}


def valid(findings: Any) -> tuple[dict, list[dict]]:
    """The document and rows as the wire has them: no unknown field, no NaN, no infinity."""
    document = ResultDocument.model_validate(findings.document).model_dump(mode="json", exclude_unset=True)
    rows = [
        PromptRow.model_validate(row).model_dump(mode="json", exclude_unset=True) for row in findings.rows
    ]
    json.dumps([document, rows], allow_nan=False)
    return document, rows


def differences(one: Any, other: Any, path: str = "", tolerance: float = 1e-9) -> list[str]:
    """Where two JSON values differ by more than rounding."""
    if isinstance(one, tuple) and isinstance(other, tuple):
        one, other = list(one), list(other)
    if isinstance(one, dict) and isinstance(other, dict):
        keys = [path] if one.keys() != other.keys() else []
        return keys + [
            d
            for k in one.keys() & other.keys()
            for d in differences(one[k], other[k], f"{path}/{k}", tolerance)
        ]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [
            d
            for i, (a, b) in enumerate(zip(one, other, strict=True))
            for d in differences(a, b, f"{path}/{i}", tolerance)
        ]
    if isinstance(one, float) and isinstance(other, float):
        return [] if math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance / 1000) else [path]
    return [] if one == other else [path]


def mixed_prompts(count=12):
    chances = [(1e-9, 0.9), (0.02, 0.9), (0.5, 0.6), (0.9, 0.0), (0.4, 1.0)]
    return [
        planted(
            f"p{i}", *chances[i % 5], family="f" if i % 3 == 0 else None, split="heldout" if i % 2 else None
        )
        for i in range(count)
    ]


MIXED = {"samples_per_prompt": 64, "max_samples_per_prompt": 512, "k_probe": 32}


@pytest.fixture(scope="module")
def mixed():
    return valid(planted_run(mixed_prompts(), budget=MIXED).run())


def test_shards_and_rounds_do_not_change_the_document(mixed):
    again = valid(planted_run(mixed_prompts(), budget=MIXED, run={"shard_tokens": 100}).run())
    assert again == mixed


def test_the_order_of_prompts_does_not_change_the_document(mixed):
    prompts = mixed_prompts()
    random.Random(3).shuffle(prompts)
    document, rows = valid(planted_run(prompts, budget=MIXED).run())
    assert [row["prompt_id"] for row in rows] == [prompt.id for prompt in prompts]
    assert differences(document, mixed[0]) == []
    rows.sort(key=lambda row: int(row["prompt_id"][1:]))
    assert differences(rows, mixed[1]) == []


def test_prompts_left_out_do_not_change_the_others_rows(mixed):
    """Resampling of one prompt must not depend on which came before it."""
    _, rows = valid(planted_run(mixed_prompts()[5:], budget=MIXED).run())
    kept = {row["prompt_id"]: row for row in mixed[1]}
    for row in rows:
        same = {name: row[name] for name in ("kl", "tilt", "drift", "escape", "log_partition")}
        if row["reference"]["samples"] == kept[row["prompt_id"]]["reference"]["samples"]:
            assert differences(same, {name: kept[row["prompt_id"]][name] for name in same}) == []


def test_rows_and_document_tell_one_story(mixed):
    document, rows = mixed
    seen = [row["regime"] for row in rows]
    assert document["support"]["regimes"] == {
        name: seen.count(name) for name in document["support"]["regimes"]
    }
    assert sum(row["gain"]["value"] for row in rows) / len(rows) == pytest.approx(
        document["gain"]["total"]["value"]
    )
    at = {point["k_probe"]: point["label"] for point in document["verdict"]["by_k_probe"]}
    assert at[32] == document["verdict"]["label"]
    assert seen[0] == "unreached"
    assert seen[3] == "lost"
    total = sum(row["reference"]["samples"] for row in rows)
    assert sum(document["support"]["reference"]["outcomes"].values()) == total
    for row in rows:
        assert (row["confirmation"] != []) == (row["regime"] in {"unreached", "singular", "barrier"})


def test_the_frame_names_everything_a_number_is_relative_to(mixed):
    frame = mixed[0]["frame"]
    assert set(frame) == {
        "reference", "candidate", "policy", "signal", "budget", "decision", "prompts", "seed", "software",
    }  # fmt: skip
    assert frame["signal"] == {
        "kind": "exact", "extract": None, "behaviour": None, "version": "exact/1",
    }  # fmt: skip
    assert frame["budget"]["k_probe"] == 32


def test_creation_at_a_smaller_k_probe_has_its_chance_floor_measured():
    """Out of reach at K = 8, in reach at 256: the curve must be able to call it created."""
    prompts = [planted(f"c{i}", 0.008, 0.9) for i in range(12)]
    document, _ = valid(planted_run(prompts, budget={"max_samples_per_prompt": 4096}, seed=1).run())
    at = {point["k_probe"]: point for point in document["verdict"]["by_k_probe"]}
    assert at[256]["label"] == "elicitation"
    assert at[8]["creation_share_lower"] > 0.3


def test_unsettleable_claims_leave_room_for_the_others():
    """Ten prompts near the threshold spend all their samples; five far ones must still be confirmed."""
    prompts = [
        *[planted(f"o{i}", 1e-9, 0.9) for i in range(5)],
        *[planted(f"b{i}", 0.0024, 0.9) for i in range(10)],
        *[planted(f"e{i}", 0.3, 0.9) for i in range(5)],
    ]
    _, rows = valid(planted_run(prompts, budget={"max_samples_per_prompt": 3072}).run())
    assert all(row["confirmed"] for row in rows[:5])


@pytest.mark.parametrize("kind", ["support", "free_energy", "capability"])
def test_no_prompt_left_is_a_document_without_numbers(kind):
    run = planted_run([planted("a", 0.3, 0.6)], kind=kind, budget=SMALL, run={"fails": lambda _, s: True})
    document, rows = valid(run.run(partial=True))
    assert rows == []
    assert document["partial"] is True
    assert "verdict" not in document
    assert document["support"]["reference"]["success"]["status"] == "undefined"
    assert {null["status"] for null in document["nulls"]} == {"not_run"}
    assert [warning["code"] for warning in document["warnings"]][:1] == ["prompts_left_out"]


def test_a_prompt_without_its_pilot_is_left_out_of_a_partial_result_and_ends_a_whole_one():
    fails = {"fails": lambda _, s: s.work == "verify" and s.items[0][0] == 1, "shard_tokens": 64}
    prompts = [planted(f"p{i}", 0.3, 0.6) for i in range(3)]
    document, rows = valid(planted_run(prompts, budget=SMALL, run=fails).run(partial=True))
    assert [row["prompt_id"] for row in rows] == ["p0", "p2"]
    assert document["frame"]["prompts"] == 3
    with pytest.raises(PlanMismatchError):
        planted_run(prompts, budget=SMALL, run=fails).run()


def test_lost_scores_leave_the_counts():
    fails = {"fails": lambda _, s: s.work == "score"}
    prompts = [planted(f"p{i}", 0.3, 0.6) for i in range(3)]
    document, rows = valid(planted_run(prompts, budget=SMALL, run=fails).run(partial=True))
    assert document["free_energy"]["kl"]["status"] == "undefined"
    assert rows[0]["kl"]["reason"] == "not_scored"
    assert rows[0]["reference"]["success"]["value"] is not None


def test_a_limit_on_tokens_that_ends_the_sampling_is_said():
    prompts = [planted("a", 1e-9, 1.0), planted("b", 0.9, 1.0)]
    limited = planted_run(prompts, budget={**SMALL, "max_total_tokens": 100})
    document, _ = valid(limited.run())
    assert "token_limit" in {warning["code"] for warning in document["warnings"]}
    free, _ = valid(planted_run(prompts, budget=SMALL).run())
    assert "token_limit" not in {warning["code"] for warning in free["warnings"]}


def test_one_prompt_is_printed_at_95_percent():
    document, rows = valid(planted_run([planted("a", 0.3, 0.6)], budget=SMALL, decision={"alpha": 0.3}).run())
    for estimate in (
        document["support"]["reference"]["success"],
        document["free_energy"]["mean_energy"]["candidate"],
        rows[0]["reference"]["success"],
        rows[0]["gain"],
        rows[0]["kl"],
    ):
        assert estimate["confidence"] == pytest.approx(0.95)
    assert document["verdict"]["label"] == "inconclusive"


def test_pilots_of_successes_or_failures_alone_have_finite_numbers():
    prompts = [planted("a", 0.0, 1.0), planted("b", 1.0, 1.0), planted("c", 0.0, 0.0), planted("d", 1.0, 0.0)]
    _, rows = valid(planted_run(prompts, budget=MIXED).run())
    assert [row["regime"] for row in rows] == ["singular", "basin", "undetermined", "lost"]
    assert rows[0]["reference"]["price"]["status"] == "censored"
    assert rows[0]["reference"]["price"]["ci_high"] is None


def test_successes_that_the_reference_excludes_are_singular():
    prompts = [planted(f"s{i}", 0.0, 0.9) for i in range(2)]
    _, rows = valid(planted_run(prompts, budget=MIXED).run())
    assert [row["regime"] for row in rows] == ["singular"] * 2
    assert rows[0]["kl"]["reason"] == "truncated_support"


@st.composite
def analyses(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    two = draw(st.sampled_from([True, True, True, False]))
    zeros = draw(st.sampled_from([0.0, 0.3, 0.6]))
    texts = [f"{i}{j}" for i in range(4) for j in range(4)]
    prompts = []
    for i in range(draw(st.sampled_from([1, 2, 4, 11]))):
        share = draw(st.sampled_from([0.0, 0.1, 0.9]))
        answers = tuple(text for text in texts if rng.random() < share) or ("99",)
        p, q = random_law(rng, zeros=zeros), random_law(rng, zeros=zeros)
        family, split = draw(st.sampled_from([None, "f"])), draw(st.sampled_from([None, "heldout"]))
        prompts.append(PlantedPrompt(f"p{i}", p, q if two else None, answers, family, split))
    k_use = draw(st.sampled_from([1, 8, 20]))
    pilot = draw(st.sampled_from([2, 3, 16]))
    kinds = ["support", "free_energy", "capability"] if two else ["support"]
    changes = {
        "kind": draw(st.sampled_from(kinds)),
        "budget": {
            "k_use": k_use,
            "k_probe": max(k_use, draw(st.sampled_from([1, 8, 64]))),
            "samples_per_prompt": pilot,
            "max_samples_per_prompt": pilot * draw(st.sampled_from([1, 5])),
            "max_total_tokens": draw(st.sampled_from([None, 200])),
            "adaptive": draw(st.booleans()),
        },
        "decision": {
            "alpha": draw(st.sampled_from([1e-6, 0.05, 0.4])),
            "reach": draw(st.sampled_from([0.1, 0.99])),
        },
        "policy": draw(st.sampled_from([{}, {"top_p": 0.9}])),
        "inverse_temperatures": [1e-3, 1.0, 100.0],
        "seed": draw(st.integers(0, 99)),
    }
    relabelled = draw(st.sampled_from(["unparsed", "truncated", "verifier_error"]))
    share, broken = draw(st.sampled_from([0.0, 0.2, 1.0])), draw(st.sampled_from([0.0, 0.3]))
    run = {
        "relabel": lambda prompt, stream, index, outcome: (
            relabelled if random.Random(f"{prompt}{stream}{index}").random() < share else outcome
        ),
        "fails": lambda number, shard: random.Random(f"{number}/{shard.idx}").random() < broken,
        "shard_tokens": draw(st.sampled_from([64, 4096])),
        "tokenizers": draw(st.sampled_from([("t", "t"), ("t", "u")])),
    }
    return prompts, changes, run, broken > 0


@given(analyses())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_analysis_has_a_valid_document(analysis):
    prompts, changes, run, partial = analysis
    valid(planted_run(prompts, run=run, **changes).run(partial=partial))


@pytest.mark.slow
@given(analyses())
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_of_many_analyses_has_a_valid_document(analysis):
    prompts, changes, run, partial = analysis
    valid(planted_run(prompts, run=run, **changes).run(partial=partial))


@pytest.mark.slow
def test_tilts_are_not_called_created():
    """24 reports on prompts whose odds were multiplied, all within reach at K_probe: hardly a false claim."""
    created = labels = 0
    for seed in range(24):
        rng = np.random.default_rng(seed)
        prompts = []
        for i in range(20):
            a = float(np.exp(rng.uniform(math.log(0.025), math.log(0.3))))  # epsilon(32) is 0.0214
            odds = 40 * a / (1 - a)
            prompts.append(planted(f"{seed}.{i}", a, odds / (1 + odds)))
        document, rows = valid(planted_run(prompts, budget=MIXED, seed=seed).run())
        created += sum(row["confirmed"] for row in rows)
        labels += document["verdict"]["label"] in {"creation", "mixed"}
    assert labels == 0
    assert created <= 2


@pytest.mark.slow
def test_real_models_give_one_document_whatever_the_batches(tmp_path):
    base = build_tiny_model(tmp_path / "base", "llama", 1, "abcd")
    tuned = build_tiny_model(tmp_path / "tuned", "llama", 2, "abcd", mixed_with=base)
    prompts = [
        {"id": f"{i}", "prompt": word, "answer": "a"} for i, word in enumerate(["ab", "cd", "bb", "da"])
    ]
    body = request(prompts, policy={"max_new_tokens": 3}, budget={"samples_per_prompt": 32, "k_probe": 16})
    folders = {"reference": base, "candidate": tuned}
    one = valid(LocalRun(body, folders, batch_size=64, shard_tokens=4096).run())
    other = valid(LocalRun(body, folders, batch_size=5, shard_tokens=20).run())
    assert one[0]["verdict"]["label"] == other[0]["verdict"]["label"]
    assert [r["reference"]["successes"] for r in one[1]] == [r["reference"]["successes"] for r in other[1]]
    found = differences(one, other, tolerance=1e-3)
    assert [path for path in found if "closure" not in path] == []
