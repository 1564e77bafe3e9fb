"""The verifier's audit, from the request to classes, rows and diagnostics."""

import hashlib

import pytest
from planted import bernoulli_law, planted, planted_run

from workers.pipelines.audit import audited
from workers.pipelines.judge import Judge

BUDGET = {"k_probe": 256, "samples_per_prompt": 64, "max_samples_per_prompt": 2048}
GOOD = {"counts": {"right": 5_000, "accepted_right": 5_000, "wrong": 200_000, "accepted_wrong": 0}}
NOISY = {"counts": {"right": 200, "accepted_right": 190, "wrong": 300, "accepted_wrong": 3}}


def run(prompts, **changes):
    found = planted_run(prompts, budget=BUDGET, **changes).run()
    return found.document, {row["prompt_id"]: row for row in found.rows}


def test_noise_that_could_explain_the_rarity_leaves_it_undetermined():
    prompts = [planted("rare", 0.012, 0.9), planted("basin", 0.8, 0.95), planted("far", 1e-9, 0.9)]
    _, plain = run(prompts)
    assert [plain[p]["regime"] for p in ("rare", "basin", "far")] == ["tail", "basin", "unreached"]
    document, rows = run(prompts, audit=NOISY)
    assert rows["rare"]["regime"] == "undetermined"
    assert any("of wrong texts" in line for line in rows["rare"]["evidence"])
    assert rows["basin"]["regime"] == "basin"
    audit = document["diagnostics"]["verifier_audit"]
    assert (audit["right"], audit["wrong"]) == (200, 300)
    assert audit["false_positive_rate"]["value"] == pytest.approx(0.01)
    assert audit["false_negative_rate"]["value"] == pytest.approx(0.05)
    assert document["frame"]["audit"] == NOISY["counts"]
    assert document["frame"]["decision"]["alpha"] == 0.05


def test_a_good_verifier_loses_little():
    prompts = [planted("rare", 0.03, 0.9), planted("far", 1e-9, 0.9), planted("basin", 0.8, 0.95)]
    _, rows = run(prompts, audit=GOOD)
    assert [rows[p]["regime"] for p in ("rare", "far", "basin")] == ["tail", "unreached", "basin"]


def test_rates_and_bounds_are_those_of_the_truth():
    prompts = [planted("a", 0.3, 0.9), planted("b", 0.3, 0.9)]
    _, plain = run(prompts)
    _, rows = run(prompts, audit=NOISY)
    for name in ("a", "b"):
        seen, true = (found[name]["candidate"]["success"] for found in (plain, rows))
        assert true["value"] == pytest.approx(min(1.0, (seen["value"] - 0.01) / 0.94), abs=0.02)
        assert true["ci_high"] > seen["ci_high"]
        assert rows[name]["gain"]["value"] > plain[name]["gain"]["value"]


def test_labelled_texts_are_judged_by_their_prompts_keys():
    prompts = [planted("a", 0.5, 0.5), planted("b", 0.5, 0.5)]
    key = {prompt.id: prompt.answers[0] for prompt in prompts}
    texts = [
        {"prompt_id": "a", "text": key["a"], "is_right": True},
        {"prompt_id": "b", "text": f"{key['b']}!", "is_right": True},  # the verifier is too strict here
        {"prompt_id": "a", "text": "no", "is_right": False},
        {"prompt_id": "b", "text": key["b"], "is_right": False},  # and accepts this by mistake
        {"prompt_id": "b", "text": "no", "is_right": False},
    ]
    spec = audited(planted_run(prompts, audit={"texts": texts}).spec, Judge())
    assert spec.noise is not None
    audit = spec.noise.audit
    assert (audit.right, audit.accepted_right, audit.wrong, audit.accepted_wrong) == (2, 1, 3, 1)


HOT = {"name": "hot", "role": "elicitation", "policy": {"temperature": 1.5}}
SMALL = {"k_probe": 16, "samples_per_prompt": 32, "max_samples_per_prompt": 512}


def erring(accepts=0.0, refuses=0.0):
    """A verifier that errs at these rates, on a text of a sample always alike."""

    def relabel(prompt_id, stream, index, outcome):
        name = f"{prompt_id}/{stream}/{index}".encode()
        chance = int.from_bytes(hashlib.sha256(name).digest()[:8]) / 2**64
        if outcome == "correct":
            return "incorrect" if chance < refuses else outcome
        return "correct" if chance < accepts else outcome

    return relabel


def regimes_of(prompts, relabel, audit):
    counts = None if audit is None else {"counts": dict(zip(GOOD["counts"], audit, strict=True))}
    found = planted_run(prompts, budget=SMALL, arms=[HOT], audit=counts, run={"relabel": relabel}).run()
    return [(row["regime"], row["confirmed"]) for row in found.rows]


def hot(name, arm):
    made = planted(name, 1e-9, 0.9)
    return planted(name, 1e-9, 0.9, arms={"arm:hot": bernoulli_law(arm, made.answers[0])})


def test_an_arm_whose_successes_are_refused_is_not_out():
    """The arm reaches at 0.05, above epsilon(16) = 0.042; a verifier that sees a fifth of it hides that."""
    prompts, relabel = [hot(f"p{i}", 0.05) for i in range(6)], erring(refuses=0.8)
    assert ("unreached", True) in regimes_of(prompts, relabel, None)
    found = regimes_of(prompts, relabel, (500, 100, 500, 0))
    assert not any(confirmed for _, confirmed in found)


def test_an_arm_is_not_in_by_what_is_accepted_wrongly():
    prompts, relabel = [hot(f"p{i}", 1e-9) for i in range(3)], erring(accepts=0.1)
    assert {name for name, _ in regimes_of(prompts, relabel, None)} <= {"basin", "tail"}
    assert {name for name, _ in regimes_of(prompts, relabel, (500, 500, 500, 50))} == {"undetermined"}


def test_an_arm_still_reaches_and_creation_is_still_confirmed_under_an_audit():
    prompts = [hot("far", 1e-9), hot("reached", 0.5), hot("far too", 1e-9)]
    found = regimes_of(prompts, erring(refuses=0.1), (5_000, 4_500, 5_000, 0))
    assert found == [("unreached", True), ("tail", False), ("unreached", True)]


def test_the_split_of_the_gain_survives_a_strict_verifier():
    """Half of what is right is refused: accepted rates fall together, and nothing is lost."""
    prompts = [planted(f"p{i}", 0.9, 0.9) for i in range(6)]
    audit = {"counts": {"right": 5_000, "accepted_right": 2_500, "wrong": 5_000, "accepted_wrong": 0}}
    found = planted_run(
        prompts,
        budget={**SMALL, "samples_per_prompt": 256},
        audit=audit,
        run={"relabel": erring(refuses=0.5)},
    ).run()
    assert found.document["gain"]["lost"]["value"] == 0.0
    assert found.document["gain"]["elicited"]["value"] == found.document["gain"]["total"]["value"]


def test_without_an_audit_nothing_changes():
    spec = planted_run([planted("a", 0.5, 0.5)]).spec
    assert audited(spec, Judge()) is spec
