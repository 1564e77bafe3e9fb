"""Rare successes judged again, on planted laws."""

import pytest
from planted import planted, planted_run

BUDGET = {"k_probe": 32, "samples_per_prompt": 64, "max_samples_per_prompt": 1024}
AGREEING = {"kind": "numeric"}
REFUSING = {"kind": "contains", "extract": {"pattern": "never"}}


def run(prompts, **changes):
    found = planted_run(prompts, budget=BUDGET, **changes).run()
    return found.document, {row["prompt_id"]: row for row in found.rows}


def test_a_second_verifier_that_agrees_confirms():
    document, rows = run([planted(f"c{i}", 1e-9, 0.9) for i in range(6)], second_signal=AGREEING)
    for row in rows.values():
        checks = {check["check"]: check["passed"] for check in row["confirmation"]}
        assert checks["second_verifier"]
        assert row["confirmed"]
        assert row["second_verifier"]["checked"]["candidate"] > 0
        assert row["second_verifier"]["disagreements"] == []
    assert document["frame"]["second_signal"]["version"] == "numeric/1"
    assert "second_verifier_disagrees" not in {w["code"] for w in document["warnings"]}


def test_what_it_refuses_is_listed_and_confirms_nothing():
    document, rows = run([planted(f"c{i}", 1e-9, 0.9) for i in range(6)], second_signal=REFUSING)
    for row in rows.values():
        assert row["regime"] == "unreached"
        assert not row["confirmed"]
        found = row["second_verifier"]
        assert len(found["disagreements"]) == found["checked"]["candidate"]
        assert {d["outcome"] for d in found["disagreements"]} == {"unparsed"}
    assert document["gain"]["created"]["value"] == 0.0
    assert "second_verifier_disagrees" in {w["code"] for w in document["warnings"]}


def test_a_class_that_rests_on_refused_successes_is_undetermined():
    prompts = [planted(f"t{i}", 0.06, 0.9) for i in range(4)] + [planted("b", 0.9, 0.9)]
    _, plain = run(prompts)
    assert {plain[f"t{i}"]["regime"] for i in range(4)} == {"tail"}
    _, rows = run(prompts, second_signal=REFUSING)
    for i in range(4):
        assert rows[f"t{i}"]["regime"] == "undetermined"
        assert not rows[f"t{i}"]["second_verifier"]["reference_class_holds"]
    assert rows["b"]["regime"] == "basin"  # not rare, so not judged again
    assert "second_verifier" not in rows["b"]


def test_without_one_nothing_is_said():
    _, rows = run([planted("c", 1e-9, 0.9), planted("d", 1e-9, 0.9)])
    assert all("second_verifier" not in row for row in rows.values())
    assert all(check["check"] != "second_verifier" for row in rows.values() for check in row["confirmation"])


@pytest.mark.parametrize("second", [AGREEING, REFUSING])
def test_the_order_of_prompts_changes_no_row(second):
    prompts = [planted("t", 0.06, 0.9), planted("c", 1e-9, 0.9), planted("e", 0.5, 0.9)]
    _, one = run(prompts, second_signal=second)
    _, other = run(prompts[::-1], second_signal=second)
    assert one == other
