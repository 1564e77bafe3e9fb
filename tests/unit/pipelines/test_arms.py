"""Arms on planted laws: what each kind of prompt becomes, and what it costs."""

import pytest
from planted import bernoulli_law, planted, planted_run

from workers.estimators.counts import epsilon
from workers.estimators.selection import log_target
from workers.estimators.settle import samples_to_settle
from workers.pipelines.arms import NOTHING_DRAWN, assess_arm

HOT = {"name": "hot", "role": "elicitation", "policy": {"temperature": 1.5}}
SHOTS = {
    "name": "shots",
    "role": "elicitation",
    "demonstrations": [{"prompt": "1+1=", "completion": "2"}],
}
HINT = {"name": "hint", "role": "assisted", "prefix": "Think. "}
BUDGET = {"k_probe": 16, "samples_per_prompt": 32, "max_samples_per_prompt": 512}


def prompt(name, a, b, **arms):
    """A prompt whose chance of success under an arm is given by its name; `a` under every other."""
    made = planted(name, a, b)
    laws = {f"arm:{arm}": bernoulli_law(chance, made.answers[0]) for arm, chance in arms.items()}
    return planted(name, a, b, arms=laws)


def run(*prompts, arms, **changes):
    made = planted_run(prompts, **{"budget": BUDGET, "arms": arms, **changes})
    found = made.run()
    return made, found, {row["prompt_id"]: row for row in found.rows}


def drawn(made, stream):
    return made.committed(with_samples=False).drawn[stream]


def test_regimes_of_a_planted_population():
    _, found, rows = run(
        prompt("tail-hot", 1e-9, 0.9, hot=0.5),
        prompt("tail-shots", 1e-9, 0.9, shots=0.5),
        prompt("barrier", 1e-9, 0.9, hint=0.6),
        prompt("created", 1e-9, 0.9),
        prompt("basin", 0.8, 0.9),
        prompt("beyond", 1e-9, 1e-9),
        arms=[HOT, SHOTS, HINT],
    )
    assert {name: row["regime"] for name, row in rows.items() if name != "beyond"} == {
        "tail-hot": "tail",
        "tail-shots": "tail",
        "barrier": "barrier",
        "created": "unreached",
        "basin": "basin",
    }
    assert rows["created"]["confirmed"]
    assert rows["barrier"]["confirmed"]
    assert any("in only through elicitation arm hot" in line for line in rows["tail-hot"]["evidence"])
    assert any("assisted arm hint at K = 16: in" in line for line in rows["barrier"]["evidence"])
    assert {arm["arm"]: arm["reached"] for arm in found.document["support"]["arms"]} == {
        "hot": 1,
        "shots": 1,
        "hint": 1,
    }
    assert [arm["name"] for arm in found.document["frame"]["arms"]] == ["hot", "shots", "hint"]


def test_arms_cost_draws_only_where_creation_is_claimed_and_stop_at_the_first_that_reaches():
    made, _, _ = run(
        prompt("tail-hot", 1e-9, 0.9, hot=0.9),
        prompt("basin", 0.8, 0.9),
        prompt("beyond", 1e-9, 1e-9),
        prompt("created", 1e-9, 0.9),
        arms=[SHOTS, HOT, HINT],
    )
    assert drawn(made, "arm:hot")[:3] == [32, 0, 0]
    assert drawn(made, "arm:shots")[:3] == [0, 0, 0]
    assert drawn(made, "reference")[0] == 32
    assert drawn(made, "arm:hint")[:3] == [0, 0, 0]
    assert all(drawn(made, stream)[3] > 60 for stream in ("reference", "arm:hot", "arm:shots", "arm:hint"))


def test_a_claim_is_confirmed_only_with_every_arm_out():
    """An arm in reach but rare keeps the claim from being made: the least e-value over policies counts."""
    rare = 0.05  # above epsilon(16, 0.5) = 0.042
    _, found, rows = run(
        *(prompt(f"p{i}", 1e-9, 0.9, hot=rare) for i in range(10)),
        arms=[HOT],
    )
    assert not any(row["confirmed"] for row in rows.values())
    assert found.verdict != "creation"


def test_creation_can_be_confirmed_under_a_truncated_policy():
    made, found, rows = run(*(prompt(f"p{i}", 1e-9, 0.9) for i in range(12)), arms=[], policy={"top_p": 0.9})
    assert "arm:untruncated" in made.spec.streams
    assert all(row["confirmed"] for row in rows.values())
    assert found.verdict == "creation"
    assert "creation_unconfirmable" not in {w["code"] for w in found.document["warnings"]}
    (arm,) = found.document["frame"]["arms"]
    assert (arm["name"], arm["policy"]["temperature"], arm["policy"]["top_p"]) == ("untruncated", 1.0, 1.0)


def test_what_the_untruncated_arm_reaches_is_no_creation():
    _, found, rows = run(
        *(prompt(f"p{i}", 1e-9, 0.9, untruncated=0.3) for i in range(12)), arms=[], policy={"top_p": 0.9}
    )
    assert {row["regime"] for row in rows.values()} == {"tail"}
    assert found.verdict == "elicitation"


def test_zeros_of_the_reference_are_singular_with_their_cause():
    _, _, rows = run(planted("z", 0.0, 0.9), arms=[HOT])
    assert rows["z"]["regime"] == "singular"
    assert rows["z"]["support_zeros"]["causes"] == {"vocabulary": rows["z"]["support_zeros"]["successes"]}


def test_a_model_against_itself_with_arms_claims_no_creation():
    made = [prompt(f"p{i}", a, a) for i, a in enumerate([1e-9, 0.02, 0.05, 0.2, 0.9] * 4)]
    _, found, rows = run(*made, arms=[HOT, SHOTS, HINT])
    assert found.verdict == "inconclusive"
    assert not {row["regime"] for row in rows.values()} & {"unreached", "barrier", "singular"}


def test_support_reports_the_reach_of_every_arm():
    _, found, rows = run(
        planted("a", 0.0001, None, arms={"arm:hot": bernoulli_law(0.5, planted("a", 0.1, None).answers[0])}),
        planted("b", 0.5, None),
        arms=[HOT],
    )
    (arm,) = found.document["support"]["arms"]
    assert (arm["prompts"], arm["reached"]) == (2, 2)
    assert arm["success"]["value"] == pytest.approx(0.5, abs=0.2)
    assert [row["arms"][0]["class_at_k_probe"] for row in rows.values()] == ["in", "in"]


def test_a_fixed_plan_draws_every_arm_at_once():
    made, _, _ = run(
        prompt("a", 1e-9, 0.9), prompt("b", 0.9, 0.9), arms=[HOT], budget={**BUDGET, "adaptive": False}
    )
    assert drawn(made, "arm:hot") == [32, 32]
    assert made.rounds == 1


def test_an_arm_that_was_not_drawn_claims_nothing():
    spec = planted_run([prompt("a", 0.5, 0.5)], budget=BUDGET, arms=[HOT]).spec
    reach = assess_arm(spec, spec.streams["arm:hot"], NOTHING_DRAWN)
    assert (reach.label, reach.log_e_out, reach.log_e_in) == ("undetermined", 0.0, 0.0)


def test_one_of_many_arms_reaches_at_its_share_of_the_level():
    """Of A arms the one that is `in` needs log(A / alpha)."""
    one = planted_run([prompt("a", 0.5, 0.5)], budget=BUDGET, arms=[HOT]).spec
    grid = {"name": "t", "role": "elicitation", "policy": {"temperature": [0.5, 0.8, 1.2, 2]}}
    many = planted_run([prompt("a", 0.5, 0.5)], budget=BUDGET, arms=[grid]).spec
    assert [stream.arm for stream in many.elicitation] == ["t-0.5", "t-0.8", "t-1.2", "t-2"]
    assert assess_arm(one, one.elicitation[0], NOTHING_DRAWN).tests == 1
    assert assess_arm(many, many.elicitation[0], NOTHING_DRAWN).tests == 4


def test_every_arm_is_drawn_to_the_level_that_e_bh_asks_of_one_claim_in_twenty():
    """log(20 / 0.05): an arm topped up to log(1 / 0.05) only would leave the claim unselected."""
    made, _, rows = run(
        prompt("created", 1e-9, 0.9), *(prompt(f"p{i}", 0.8, 0.9) for i in range(19)), arms=[HOT]
    )
    assert rows["created"]["confirmed"]
    need = samples_to_settle(0, 0, epsilon(16, 0.5), log_target(20, 1, 0.05), 8 * 16)
    assert need is not None
    assert drawn(made, "arm:hot")[0] >= need


def test_a_format_repair_arm_that_reaches_is_named_as_what_showed_it():
    repair = {"name": "fix", "role": "elicitation", "format_repair": True}

    def unreadable(_, stream, index, outcome):
        return "unparsed" if stream == "reference" and outcome == "incorrect" else outcome

    made, found, _ = run(
        *(prompt(f"p{i}", 1e-9, 0.9, fix=0.8) for i in range(12)), arms=[repair], run={"relabel": unreadable}
    )
    assert made.spec.streams["arm:fix"].rendering.prefix.startswith("Give the final answer alone")
    assert "format_repair" in found.document["verdict"]["findings"]
    told = " ".join(found.document["verdict"]["reasons"])
    assert "format repair shown by arm fix on 12 of 12 prompts that gained" in told


def test_arms_share_the_budget_of_tokens():
    prompts = [prompt(f"p{i}", 1e-9, 0.9) for i in range(4)]
    budget = {**BUDGET, "max_total_tokens": 2 * 4 * 32 * 8}
    made, _, rows = run(*prompts, arms=[HOT, SHOTS, HINT], budget=budget)
    assert made.tokens <= budget["max_total_tokens"]
    assert 0 < sum(drawn(made, "arm:hot")) < 4 * 512
    assert not any(row["confirmed"] for row in rows.values())


def test_samples_of_arms_are_kept_and_counted_with_the_others():
    made, found, _ = run(prompt("created", 1e-9, 0.9), prompt("b", 0.9, 0.9), arms=[HOT])
    streams = set(made.committed(with_samples=True).samples["stream"].to_pylist())
    assert streams == {"reference", "candidate", "arm:hot"}
    assert set(found.document["diagnostics"]["duplicate_share"]) == streams
