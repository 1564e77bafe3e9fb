"""Rare successes judged again, on planted laws."""

from dataclasses import replace

import pytest
from planted import PlantedPrompt, law_with, planted, planted_run

BUDGET = {"k_probe": 32, "samples_per_prompt": 64, "max_samples_per_prompt": 1024}
AGREEING = {"kind": "numeric"}
REFUSING = {"kind": "contains", "extract": {"pattern": "never"}}


ONE_OF_TWO = {"kind": "regex", "pattern": "11"}
"""Refuses the other of two accepted answers."""
HOT = {"name": "hot", "role": "elicitation", "policy": {"temperature": 1.5}}
HINT = {"name": "hint", "role": "assisted", "prefix": "Think. "}


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


def by_arm(name, *, p=1e-9, **arms):
    """The candidate writes 11; under these arms the reference writes 00, which is accepted too."""
    own, q = law_with({"00": p, "11": 1e-9}), law_with({"00": 1e-9, "11": 0.9})
    laws = {f"arm:{arm}": law_with({"00": chance, "11": 1e-9}) for arm, chance in arms.items()}
    return PlantedPrompt(name, own, q, ("00", "11"), arms=laws)


def test_what_an_arm_reaches_is_judged_again():
    prompts = [by_arm("t", hot=0.5), by_arm("b", hint=0.6), by_arm("u")]
    _, plain = run(prompts, arms=[HOT, HINT], second_signal=AGREEING)
    assert {name: row["regime"] for name, row in plain.items()} == {
        "t": "tail",
        "b": "barrier",
        "u": "unreached",
    }
    assert plain["t"]["second_verifier"]["checked"]["arm:hot"] > 0
    assert plain["t"]["second_verifier"]["unsettled_arms"] == []
    document, rows = run(prompts, arms=[HOT, HINT], second_signal=ONE_OF_TWO)
    # A tail that rests on the arm is open; a barrier is created whatever helps; what no arm has is as it was.
    assert {name: row["regime"] for name, row in rows.items()} == {
        "t": "undetermined",
        "b": "unreached",
        "u": "unreached",
    }
    assert [rows[name]["second_verifier"]["unsettled_arms"] for name in "tbu"] == [["hot"], ["hint"], []]
    assert all(row["second_verifier"]["reference_class_holds"] for row in rows.values())
    assert {d["side"] for d in rows["b"]["second_verifier"]["disagreements"]} == {"arm:hint"}
    checks = {check["check"]: check["passed"] for check in rows["b"]["confirmation"]}
    assert checks["second_verifier"]  # the candidate's own successes were accepted
    (notice,) = [w["detail"] for w in document["warnings"] if w["code"] == "second_verifier_disagrees"]
    assert "on 2 prompts that of an arm" in notice


def test_an_arm_is_judged_again_at_every_k_probe():
    """What rests on refused successes counts for elicitation at no point of the verdict's curve."""
    prompts = [by_arm(f"t{i}", hot=0.5) for i in range(12)]
    labels = {}
    for second in (AGREEING, ONE_OF_TWO):
        document, _ = run(prompts, arms=[HOT], second_signal=second)
        labels[second["kind"]] = [point["label"] for point in document["verdict"]["by_k_probe"]]
    assert set(labels["numeric"]) == {"elicitation"}
    assert set(labels["regex"]) == {"inconclusive"}


@pytest.mark.parametrize("is_trajectory", [False, True])
def test_a_class_that_rests_on_an_arms_refused_successes_is_undetermined(is_trajectory):
    """a = 0.03 is above epsilon(64) = 0.0108: a pilot of 32 often shows none of it, the arm's scores do."""
    budget = {"k_use": 4, "k_probe": 64, "samples_per_prompt": 32, "max_samples_per_prompt": 256}
    prompts = [by_arm(f"p{i}", p=0.03, hot=0.97) for i in range(12)]
    if is_trajectory:
        prompts = [replace(one, q=None, checkpoints=(one.q,)) for one in prompts]
    shared = {"arms": [HOT], "share_proposals": True, "budget": budget}
    found = planted_run(prompts, second_signal=ONE_OF_TWO, **shared).run()
    by_scores = [
        row
        for row in found.rows
        if row["reference"]["successes"] == 0 and row["reference"]["class_at_k_probe"] == "in"
    ]
    assert len(by_scores) >= 2
    for row in by_scores:
        assert not row["second_verifier"]["reference_class_holds"]
        assert row["second_verifier"]["checked"]["reference"] == 0
        assert row["regime"] == "undetermined"
