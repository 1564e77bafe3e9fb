import numpy as np
import pytest
from planted import PlantedPrompt, law_with, planted, planted_run

from workers.pipelines.support_section import curve_budgets, support_section

BUDGET = {"samples_per_prompt": 16, "max_samples_per_prompt": 64, "k_probe": 16}


def section_of(results_of, *prompts, results=None, **changes):
    run = planted_run(prompts, **{"budget": BUDGET, **changes})
    made = results_of(run) if results is None else results
    return run.spec, made, support_section(run.spec, made, None, np.random.default_rng(0))


def pass_at_k(n, c, k):
    """1 - C(n - c, k)/C(n, k), by its product."""
    miss = 1.0
    for j in range(k):
        miss *= max(n - c - j, 0) / (n - j)
    return 1 - miss


def test_curves_are_the_unbiased_ones_of_the_pilot(results_of):
    spec, results, section = section_of(results_of, *[planted(f"p{i}", 0.1 * i, 0.5) for i in range(4)])
    assert [point["k"] for point in section["reference"]["pass_at_k"]] == [1, 2, 4, 8, 16]
    for point in section["reference"]["pass_at_k"]:
        counts = [r.observed.reference.pilot_successes for r in results]
        expected = np.mean([pass_at_k(16, c, point["k"]) for c in counts])
        assert point["estimate"]["value"] == pytest.approx(expected)
    assert section["reference"]["outcomes"]["correct"] == sum(r.observed.reference.successes for r in results)
    assert spec.budget.k_use == 8


def test_no_point_lies_beyond_the_fewest_decided_samples(results_of):
    errors = {"relabel": lambda p, s, i, o: "verifier_error" if p == "p1" and i == 0 else o}
    *_, section = section_of(results_of, planted("p0", 0.3, 0.5), planted("p1", 0.3, 0.5), run=errors)
    assert max(point["k"] for point in section["reference"]["pass_at_k"]) == 8


def test_budgets_of_the_curve():
    spec = planted_run([planted("a", 0.5, None)], budget={"k_use": 3, "k_probe": 10}).spec
    assert curve_budgets(spec, 16) == [1, 2, 3, 4, 8, 10, 16]
    assert curve_budgets(spec, 9) == [1, 2, 3, 4, 8]
    assert curve_budgets(spec, 0) == []


def test_the_literatures_rule_uses_the_first_k_samples(results_of):
    prompts = [planted("p0", 0.0, 1.0), planted("p1", 0.0, 0.0), planted("p2", 1.0, 0.0)]
    *_, section = section_of(results_of, *prompts)
    assert section["literature_rule"] == {"budget": 16, "unreached": 2, "created_claims": 1}


def test_retention_is_at_half_the_pilot_beside_its_null(results_of):
    prompts = [
        planted("p0", 1.0, 1.0),
        planted("p1", 1.0, 0.0),
        planted("p2", 0.0, 1.0),
        planted("p3", 1.0, 1.0),
    ]
    *_, section = section_of(results_of, *prompts)
    found = section["retention"]
    assert found["budget"] == 8
    assert found["srr"]["value"] == pytest.approx(2 / 3)
    assert found["ndr"]["value"] == pytest.approx(1 / 3)
    assert found["nscr"]["value"] == 0.0
    assert found["null"]["ndr"]["value"] == 0.0


def test_printed_success_is_at_95_percent_whatever_decides(results_of):
    for prompts in (1, 3):
        made = [planted(f"p{i}", 0.4, 0.7) for i in range(prompts)]
        *_, section = section_of(results_of, *made, decision={"alpha": 0.3})
        for side in ("reference", "candidate"):
            assert section[side]["success"]["confidence"] == pytest.approx(0.95)


def test_one_side_alone_has_no_comparison(results_of):
    *_, section = section_of(results_of, planted("p0", 0.3, None))
    assert set(section) == {"reference"}


@pytest.mark.parametrize("candidate", [None, 0.5])
def test_no_prompt_at_all_has_undefined_numbers(results_of, candidate):
    """A cancelled analysis may have none left."""
    *_, section = section_of(results_of, planted("p0", 0.3, candidate), results=[])
    assert section["reference"]["success"]["status"] == "undefined"
    assert ("candidate" in section) == (candidate is not None)


def test_a_side_of_verifier_errors_alone_is_undefined(results_of):
    lost = {"relabel": lambda p, s, i, o: "verifier_error" if s == "reference" else o}
    *_, section = section_of(results_of, planted("p0", 0.3, 0.5), planted("p1", 0.3, 0.5), run=lost)
    assert section["reference"]["success"]["status"] == "undefined"
    assert section["reference"]["pass_at_k"] == []
    assert section["candidate"]["success"]["value"] is not None


def test_classes_at_every_budget_are_those_of_the_assessment(results_of):
    prompts = [planted("p0", 0.0, 0.9), planted("p1", 0.3, 0.9), planted("p2", 1.0, 0.0)]
    spec, results, section = section_of(results_of, *prompts, budget={**BUDGET, "k_probe": 20})
    assert [point["k"] for point in section["reference"]["classes"]] == [1, 4, 8, 16, 20, 64]
    for side, stream in ((section["reference"], "reference"), (section["candidate"], "candidate")):
        at = {point["k"]: point for point in side["classes"]}
        for name, k in (("use", spec.budget.k_use), ("probe", spec.budget.k_probe)):
            labels = [getattr(getattr(result, stream), name).label for result in results]
            assert at[k]["prompts"] == {c: labels.count(c) for c in ("in", "out", "undetermined")}
            assert at[k]["epsilon"] == pytest.approx(1 - 0.5 ** (1 / k))
            assert at[k]["budget_nats"] == pytest.approx(-np.log(at[k]["epsilon"]))
        assert all(sum(point["prompts"].values()) == 3 for point in side["classes"])


def test_behaviours_are_undefined_without_a_labeller(results_of):
    *_, section = section_of(results_of, planted("p0", 0.3, 0.5), planted("p1", 0.3, 0.5))
    for name in ("behaviour_entropy", "unseen_mass", "novel_mass"):
        assert section["candidate"][name]["status"] == "undefined"
        assert "behaviour" in section["candidate"][name]["reason"]
    assert "novel_mass" not in section["reference"]


def test_behaviours_of_the_candidate_that_the_reference_never_showed(results_of):
    """Two answers; the reference knows the first alone, the candidate both alike."""
    p, q = law_with({"12": 0.5, "34": 0.0}), law_with({"12": 0.4, "34": 0.4})
    prompt = PlantedPrompt("p0", p, q, ("12", "34"))
    budget = {"samples_per_prompt": 400, "max_samples_per_prompt": 400, "k_probe": 16}
    signal = {"kind": "exact", "behaviour": {"by": "answer"}}
    _, results, section = section_of(results_of, prompt, signal=signal, budget=budget)
    candidate, reference = section["candidate"], section["reference"]
    labels = results[0].observed.candidate.behaviours
    assert set(labels) == {"12", "34", None}
    assert candidate["novel_mass"]["value"] == labels.count("34") / 400
    assert candidate["novel_mass"]["value"] == pytest.approx(0.4, abs=0.1)  # four standard errors
    assert candidate["behaviour_entropy"]["value"] == pytest.approx(np.log(2), abs=0.02)
    assert reference["behaviour_entropy"]["value"] == 0.0
    assert reference["unseen_mass"]["value"] == 0.0
    assert reference["unseen_mass"]["ci_high"] < 0.02


def test_a_prompt_without_a_success_has_no_behaviour_entropy(results_of):
    signal = {"kind": "exact", "behaviour": {"by": "answer"}}
    *_, section = section_of(results_of, planted("p0", 0.0, 0.9), planted("p1", 0.9, 0.9), signal=signal)
    found = section["reference"]["behaviour_entropy"]
    assert (found["n"], found["status"]) == (1, "unreliable")
    assert "1 of 2 prompts excluded: 1 no labelled success in the pilot" in found["reason"]
