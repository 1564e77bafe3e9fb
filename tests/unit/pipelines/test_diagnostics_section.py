import math
from collections import Counter

import numpy as np
import pytest
from planted import Law, PlantedPrompt, planted, planted_run, random_law

from workers.estimators.counts import epsilon
from workers.estimators.settle import samples_to_settle
from workers.pipelines.assessment import planned_samples
from workers.pipelines.chance import ChanceFloor
from workers.pipelines.closure_checks import closure_checks
from workers.pipelines.diagnostics_section import Draws, diagnostics_section, draws_of, warnings_of

BUDGET = {"samples_per_prompt": 16, "max_samples_per_prompt": 4096}


def run_of(*prompts, **changes):
    made = prompts or tuple(planted(f"p{i}", 0.4, 0.7) for i in range(3))
    return planted_run(made, **{"budget": BUDGET, **changes})


def codes(run, results, draws=None):
    empty = {stream: Draws({}, {}) for stream in run.spec.streams}
    return {notice.code: notice.detail for notice in warnings_of(run.spec, results, draws or empty)}


def test_draws_count_sequences_and_add_up_their_chances(results_of):
    law = Law(np.array([0.5, 0.5]), np.array([[1.0, 0.0], [0.5, 0.5]]))
    run = run_of(PlantedPrompt("a", law, law, answers=("00",)))
    results_of(run)
    draws = draws_of(run.committed(with_samples=True).samples, "candidate")
    counts = {tuple(np.frombuffer(name, np.int32)): count for name, count in draws.counts[0].items()}
    assert sum(counts.values()) == 16
    expected = {(0, 0, 10): 0.5, (1, 0, 10): 0.25, (1, 1, 10): 0.25}
    assert draws.total_chance[0] == pytest.approx(sum(expected[y] * n for y, n in counts.items()), rel=1e-6)


def test_shares_and_overlap(results_of):
    run = run_of(run={"relabel": lambda p, s, i, o: "truncated" if s == "candidate" and i < 4 else o})
    results = results_of(run)
    draws = {s: draws_of(run.committed(with_samples=True).samples, s) for s in run.spec.streams}
    checks = closure_checks(run.spec, results)
    floors = {0: ChanceFloor(1, 10, 0.4), 2: ChanceFloor(3, 10, 0.7)}
    section = diagnostics_section(run.spec, results, draws, checks, floors)
    assert section["truncated_share"] == {"reference": 0.0, "candidate": 0.25}
    assert section["unparsed_share"] == {"reference": 0.0, "candidate": 0.0}
    assert section["chance_floor"]["value"] == pytest.approx(0.2)
    assert section["singular_mass"]["value"] == 0.0
    assert 0 < section["overlap"]["value"] < 1
    repeats = sum(16 - len(found) for found in draws["reference"].counts.values())
    assert section["duplicate_share"]["reference"] == pytest.approx(repeats / 48)


@pytest.mark.parametrize(("most", "warned"), [(1190, True), (1191, False)])
def test_a_k_probe_beyond_the_allowed_samples_is_warned_of(results_of, most, warned):
    run = run_of(budget={**BUDGET, "max_samples_per_prompt": most})
    found = codes(run, results_of(run))
    assert ("k_probe_uncertifiable" in found) == warned


@pytest.mark.parametrize("most", [64, 256, 1024])
def test_the_k_probe_it_advises_can_be_certified(results_of, most):
    run = run_of(budget={"samples_per_prompt": 16, "max_samples_per_prompt": most, "k_probe": 8192})
    detail = codes(run, results_of(run))["k_probe_uncertifiable"]
    advised = int(detail.split("k_probe of about ")[1].split(";")[0])
    need = samples_to_settle(0, 0, epsilon(advised, 0.5), math.log(20), planned_samples(run.spec, advised))
    assert need is not None
    assert 0.8 * most <= need <= most


def test_a_fixed_plan_is_judged_by_its_own_size(results_of):
    run = run_of(budget={**BUDGET, "adaptive": False})
    assert "and 16 are allowed" in codes(run, results_of(run))["k_probe_uncertifiable"]


@pytest.mark.parametrize("policy", [{"top_p": 0.9}, {"temperature": 0.7}, {"top_k": 4}, {"min_p": 0.1}])
def test_a_policy_under_which_creation_stays_unconfirmed_is_warned_of(results_of, policy):
    """Where creation may be claimed an arm covers it; kind `free_energy` claims none and draws no arm."""
    run = run_of(policy=policy, kind="free_energy")
    assert "creation_unconfirmable" in codes(run, results_of(run))
    run = run_of(policy=policy)
    assert "creation_unconfirmable" not in codes(run, results_of(run))


def test_the_plain_policy_is_not(results_of):
    run = run_of()
    assert codes(run, results_of(run)) == {}


def test_equal_laws_are_noticed_and_nearly_equal_ones_are_not(results_of):
    run = run_of(planted("a", 0.5, 0.5), planted("b", 0.2, 0.2))
    assert "equal_distributions" in codes(run, results_of(run))
    run = run_of(planted("a", 0.5, 0.5), planted("b", 0.2, 0.2001))
    assert "equal_distributions" not in codes(run, results_of(run))


def test_verifier_errors_are_counted_and_bounded(results_of):
    """Six of 48 reference samples: all successes or none."""
    run = run_of(run={"relabel": lambda p, s, i, o: "verifier_error" if s == "reference" and i < 2 else o})
    results = results_of(run)
    found = codes(run, results)
    successes = sum(result.observed.reference.successes for result in results)
    assert "6 of 48 reference samples" in found["verifier_errors"]
    assert f"between {successes / 48:.1%} and {(successes + 6) / 48:.1%}" in found["verifier_errors"]


def test_reused_seeds_are_found_and_likely_repeats_are_not(results_of):
    run = run_of()
    results = results_of(run)
    fair = Draws({0: Counter({(1,): 50, (2,): 50})}, {0: 50.0})
    copied = Draws({0: Counter({(k,): 4 for k in range(25)})}, {0: 100 * 1e-6})
    found = codes(run, results, {"reference": fair, "candidate": copied})
    assert "pairs of candidate samples are equal" in found["duplicate_samples"]
    assert "duplicate_samples" not in codes(run, results, {"reference": fair, "candidate": fair})


def test_one_prompt_and_equal_prompts_are_said(results_of):
    run = run_of(planted("a", 0.5, 0.6))
    assert "one_prompt" in codes(run, results_of(run))


def test_a_mean_of_pareto_shapes_counts_the_prompts_that_have_one(results_of):
    """A prompt with a handful of scored successes has no tail to fit, and is no part of the mean."""
    rng = np.random.default_rng(1)
    answers = tuple(f"{i}{j}" for i in range(8) for j in range(10))
    many = PlantedPrompt("many", random_law(rng, 10), random_law(rng, 10), answers)
    run = run_of(many, planted("few", 0.001, 0.05), budget={**BUDGET, "samples_per_prompt": 64})
    nothing = {stream: Draws({}, {}) for stream in run.spec.streams}
    results = results_of(run)
    found = diagnostics_section(run.spec, results, nothing, [], {})
    shapes = [result.reference.evidence.scoring.pareto_k for result in results]
    assert [shape is None for shape in shapes] == [False, True]
    assert (found["pareto_k"]["n"], found["pareto_k"]["value"]) == (1, shapes[0])
    assert found["ess"]["n"] == 2
