import math
from dataclasses import replace

import numpy as np
import pytest
from planted import planted, planted_run

from workers.estimators.counts import epsilon, log_e_out
from workers.estimators.nulls import NullResult
from workers.estimators.regimes import classify_regime
from workers.pipelines.assessment import planned_samples
from workers.pipelines.verdict_section import (
    curve_of_k_probe,
    gain_json,
    may_be_created,
    records_of,
    verdict_json,
    verdict_of,
    with_floors,
)

BUDGET = {"samples_per_prompt": 64, "max_samples_per_prompt": 64, "k_probe": 12, "k_use": 8}


def run_of(*prompts, **changes):
    return planted_run(prompts, **{"budget": BUDGET, **changes})


def decide(run, results, *, floor=0.0, nulls=(), failed=()):
    at = {
        k: with_floors(records_of(run.spec, results, k), [floor] * len(results))
        for k in curve_of_k_probe(run.spec)
    }
    rng = np.random.default_rng(0)
    return verdict_of(run.spec, at[run.spec.budget.k_probe], at, nulls, failed, (), rng)


@pytest.mark.parametrize(
    ("k_use", "k_probe", "curve"),
    [
        (8, 256, [8, 16, 64, 256, 1024]),
        (8, 8, [8, 32]),
        (1, 1, [1, 4]),
        (1, 5, [1, 5, 20]),
        (3, 4, [3, 4, 16]),
    ],
)
def test_the_curve_runs_from_k_use_to_four_times_k_probe(k_use, k_probe, curve):
    assert (
        curve_of_k_probe(run_of(planted("a", 0.5, 0.5), budget={"k_use": k_use, "k_probe": k_probe}).spec)
        == curve
    )


def test_at_another_k_probe_evidence_prior_and_selection_are_all_redone(results_of):
    """0 of 64 is out at K = 8 and open at K = 64; e-BH tests all prompts at each."""
    run = run_of(
        *[planted(f"o{i}", 0.0, 0.9) for i in range(3)], *[planted(f"i{i}", 0.9, 0.9) for i in range(3)]
    )
    results = results_of(run)
    for k, label, selected in ((8, "out", 3), (64, "undetermined", 0)):
        records = records_of(run.spec, results, k)
        probe = records[0].evidence.reference_probe
        assert (probe.budget, probe.label, probe.planned_samples) == (k, label, planned_samples(run.spec, k))
        assert probe.log_e_out == log_e_out(0, 64, epsilon(k, 0.5), planned_samples(run.spec, k))
        assert sum(record.evidence.selected for record in records) == selected
    assert [r.evidence.reference_use.budget for r in records_of(run.spec, results, 64)] == [8] * 6


def test_selection_needs_more_than_the_level_of_one_prompt(results_of):
    """One claim among ten needs log(10/0.05): 64 failures certify K = 13 alone, not one of ten."""
    lone = run_of(planted("o", 0.0, 0.9))
    among = run_of(planted("o", 0.0, 0.9), *[planted(f"i{i}", 0.9, 0.9) for i in range(9)])
    for run, selected in ((lone, True), (among, False)):
        record = records_of(run.spec, results_of(run))[0]
        assert record.evidence.reference_probe.label == "out"
        assert record.evidence.selected is selected


def test_samples_of_a_record_are_the_pilot_and_bounds_at_the_decision_level(results_of):
    run = run_of(planted("a", 0.3, 0.6), decision={"alpha": 0.2})
    (result,) = results_of(run)
    (record,) = records_of(run.spec, [result])
    side = result.observed.candidate
    assert record.candidate.pilot.tolist() == side.pilot.tolist()
    assert record.candidate.high == result.candidate.evidence.upper
    assert record.evidence.candidate_low == record.candidate.low
    assert record.reference.low == pytest.approx(math.exp(result.reference.evidence.log_lower))


@pytest.mark.parametrize("policy", [{}, {"top_p": 0.99}, {"temperature": 0.9}])
def test_the_untruncated_policy_is_probed_by_itself_or_as_an_arm_that_must_be_drawn(results_of, policy):
    run = run_of(planted("a", 1e-9, 0.9), policy=policy)
    (record,) = records_of(run.spec, results_of(run))
    assert record.evidence.untruncated_covered
    # No round was planned: the arm exists, was not drawn, and so nothing is created yet.
    assert [arm.label for arm in record.evidence.elicitation_arms] == (["undetermined"] if policy else [])
    regime = classify_regime(with_floors([record], [0.0])[0].evidence)
    assert (regime.name, regime.confirmed) == (("undetermined", False) if policy else ("unreached", True))


def test_creation_is_never_confirmed_where_the_untruncated_policy_was_not_probed(results_of):
    run = run_of(planted("a", 1e-9, 0.9))
    (record,) = with_floors(records_of(run.spec, results_of(run)), [0.0])
    uncovered = replace(record.evidence, untruncated_covered=False)
    regime = classify_regime(uncovered)
    assert (regime.name, regime.confirmed) == ("unreached", False)


def test_the_chance_floor_confirms_or_not(results_of):
    run = run_of(planted("a", 0.0, 0.9))
    records = records_of(run.spec, results_of(run))
    found = {
        f: classify_regime(with_floors(records, [f])[0].evidence).confirmed for f in (None, 0.0, 0.7, 0.9)
    }
    assert found == {None: False, 0.0: True, 0.7: True, 0.9: False}


def test_unusable_successes_may_be_created_too(results_of):
    cut = {"relabel": lambda p, s, i, o: "truncated" if s == "candidate" and p == "cut" else o}
    run = run_of(
        planted("o", 0.0, 0.9),
        planted("cut", 0.0, 0.9),
        planted("n", 0.0, 0.0),
        planted("i", 0.9, 0.9),
        run=cut,
    )
    assert [may_be_created(r) for r in records_of(run.spec, results_of(run))] == [True, True, False, False]


def test_creation_elicitation_and_their_documents(results_of):
    created = run_of(*[planted(f"o{i}", 0.0, 0.9) for i in range(12)])
    elicited = run_of(*[planted(f"e{i}", 0.2, 0.9) for i in range(12)])
    for run, label, low, high in ((created, "creation", 1.0, 1.0), (elicited, "elicitation", 0.0, 0.0)):
        verdict = decide(run, results_of(run))
        document = verdict_json(verdict)
        assert document["label"] == label
        shares = document["creation_share"]
        assert shares["lower"]["value"] == pytest.approx(low, abs=0.05)
        assert shares["upper"]["value"] == pytest.approx(high, abs=0.05)
        gain = gain_json(verdict)
        parts = [gain[part]["value"] for part in ("elicited", "created", "lost", "undetermined")]
        assert math.fsum(parts) == pytest.approx(gain["total"]["value"], abs=1e-12)
        at = {point["k_probe"]: point["label"] for point in document["by_k_probe"]}
        assert at[12] == label
        assert list(at) == [8, 12, 48]


def test_what_fails_withholds_the_verdict_and_says_why(results_of):
    run = run_of(*[planted(f"e{i}", 0.2, 0.9) for i in range(12)])
    results = results_of(run)
    failed = NullResult(null="aa", status="failed", expected={}, observed={}, reason="noise")
    for verdict, word in (
        (decide(run, results, failed=["mean_weight"]), "closure check mean_weight"),
        (decide(run, results, nulls=[failed]), "aa null failed: noise"),
    ):
        assert verdict.label == "inconclusive"
        assert any(word in reason for reason in verdict_json(verdict)["reasons"])
        assert {point.label for point in verdict.by_k_probe} == {"inconclusive"}


def test_losses_lead_the_sentence_and_are_told_once(results_of):
    run = run_of(
        *[planted(f"l{i}", 0.9, 0.0) for i in range(8)], *[planted(f"g{i}", 0.3, 0.6) for i in range(4)]
    )
    document = verdict_json(decide(run, results_of(run)))
    assert set(document["findings"]) == {"shrinkage", "regression"}
    assert document["sentence"].startswith("8 of 12 prompts are lost")
    assert len(document["reasons"]) == len(set(document["reasons"]))


def test_the_share_is_of_what_was_gained_and_not_of_a_total_with_losses(results_of):
    run = run_of(
        *[planted(f"l{i}", 0.9, 0.3) for i in range(3)], *[planted(f"e{i}", 0.2, 0.9) for i in range(14)]
    )
    sentence = verdict_json(decide(run, results_of(run)))["sentence"]
    assert "of what was gained is created" in sentence
