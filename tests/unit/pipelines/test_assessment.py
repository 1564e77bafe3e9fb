"""Classes and bounds: what each side of a prompt may rest on."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import planted, planted_run

from workers.estimators.counts import epsilon, log_e_in, log_e_out, success_upper_bound
from workers.numerics.ragged import Ragged
from workers.pipelines.assessment import (
    assess_candidate,
    assess_reference,
    candidate_bounds,
    planned_samples,
    reference_bounds,
)
from workers.pipelines.class_targets import log_target_in, scored_log_target_in
from workers.pipelines.observations import PromptObservations, ScoredPair, SideObservations

ALPHA = 0.05
COUNTS = st.integers(1, 40).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def spec_of(**changes):
    return planted_run([planted("a", 0.5, 0.5)], **changes).spec


def side(successes, n, pilot=None, unusable=0):
    """Successes last, so that a pilot of the first samples shows as few as it can."""
    correct = np.arange(n) >= n - successes
    size = n if pilot is None else pilot
    marked = np.zeros(size, dtype=bool)
    marked[:unusable] = True
    outcomes = {
        "correct": successes,
        "incorrect": n - successes - unusable,
        "unparsed": unusable,
        "truncated": 0,
        "verifier_error": 0,
    }
    labels = (None,) * n
    return SideObservations(correct, size, marked, outcomes, correct.astype(float), labels)


def pair_of(reference, candidate, shift=0.0):
    """Every draw has log q - log p = shift."""
    correct = np.concatenate([reference.pilot, candidate.pilot])
    log_p = np.full(correct.size, -3.0)
    n_q = candidate.pilot_n
    return ScoredPair(
        log_p=log_p,
        log_q=log_p + shift,
        correct=correct,
        rewards=correct.astype(float),
        behaviours=(None,) * correct.size,
        n_p=reference.pilot_n,
        kl=np.full(n_q, abs(shift)),
        token_kl=Ragged.of(np.full(1, abs(shift)) for _ in range(n_q)),
        reverse_kl=np.full(reference.pilot_n, abs(shift)),
        reverse_token_kl=Ragged.of(np.full(1, abs(shift)) for _ in range(reference.pilot_n)),
        entropy_p=np.ones(reference.pilot_n),
        entropy_q=np.ones(n_q),
        zero_cause=("",) * n_q,
        max_token_diff=0.0,
    )


def prompt(reference, candidate=None, pair=None):
    return PromptObservations(0, reference, candidate, pair)


@given(COUNTS, COUNTS, st.floats(-5, 5))
@settings(deadline=None, max_examples=60)
def test_the_candidate_never_lowers_an_upper_bound_nor_makes_out(reference, candidate, shift):
    spec = spec_of()
    p, q = side(*reference), side(*candidate)
    alone = assess_reference(spec, prompt(p))
    scored = assess_reference(spec, prompt(p, q, pair_of(p, q, shift)))
    assert scored.evidence.upper == alone.evidence.upper
    assert scored.evidence.at_probe.log_e_out == alone.evidence.at_probe.log_e_out
    assert scored.evidence.at_use.log_e_out == alone.evidence.at_use.log_e_out
    for budget in ("use", "probe"):
        before, after = getattr(alone, budget).label, getattr(scored, budget).label
        assert after != "out" or before == "out"
    printed = reference_bounds(spec, prompt(p, q, pair_of(p, q, shift)), 0.05).success
    assert printed.ci_high == reference_bounds(spec, prompt(p), 0.05).success.ci_high


@given(COUNTS, COUNTS, st.floats(-5, 5))
@settings(deadline=None, max_examples=30)
def test_the_candidate_is_judged_by_its_own_samples_alone(reference, candidate, shift):
    spec = spec_of()
    p, q = side(*reference), side(*candidate)
    scored = assess_candidate(spec, prompt(p, q, pair_of(p, q, shift)))
    alone = assess_candidate(spec, prompt(side(0, 1), q))
    assert scored == alone


@pytest.mark.parametrize(
    ("successes", "n"), [(0, 1190), (0, 1191), (3, 64), (2, 64), (64, 64), (1, 4000), (0, 0)]
)
def test_classes_are_the_e_values_against_their_level(successes, n):
    spec = spec_of(budget={"max_samples_per_prompt": 5000})
    found = assess_reference(spec, prompt(side(successes, n, pilot=min(n, 64))))
    for reach, k in ((found.use, 8), (found.probe, 256)):
        e_in = log_e_in(successes, n, epsilon(k, 0.5)) >= math.log(20)
        e_out = log_e_out(successes, n, epsilon(k, 0.5), 2048) >= math.log(20)
        assert reach.label == {(True, False): "in", (False, True): "out"}.get((e_in, e_out), "undetermined")
        assert (reach.successes, reach.samples, reach.budget, reach.planned_samples) == (
            successes,
            n,
            k,
            2048,
        )


def test_no_success_is_out_after_1191_samples_at_256():
    spec = spec_of(budget={"max_samples_per_prompt": 5000})
    assert [assess_reference(spec, prompt(side(0, n, 64))).probe.label for n in (1190, 1191)] == [
        "undetermined",
        "out",
    ]


def test_the_prior_is_fixed_by_the_request():
    spec = spec_of(budget={"samples_per_prompt": 64, "max_samples_per_prompt": 9999})
    assert [planned_samples(spec, k) for k in (8, 256)] == [64, 2048]
    assert planned_samples(spec_of(budget={"samples_per_prompt": 4000}), 256) == 4000


def test_another_k_probe_moves_its_own_class_only():
    spec = spec_of()
    seen = prompt(side(0, 64))
    found = {k: assess_reference(spec, seen, k) for k in (8, 64, 256)}
    assert {f.use.label for f in found.values()} == {"out"}
    assert [f.probe.label for f in found.values()] == ["out", "undetermined", "undetermined"]
    assert [f.probe.budget for f in found.values()] == [8, 64, 256]
    assert found[64].probe.log_e_out == log_e_out(0, 64, epsilon(64, 0.5), 512)


def test_printed_bounds_have_their_own_level():
    """The decision level moves the evidence, never what is printed at 95 %."""
    strict, lax = spec_of(decision={"alpha": 0.001}), spec_of(decision={"alpha": 0.4})
    p = side(3, 64)
    expected = success_upper_bound(3, 64, 3, 64, alpha=0.025, threshold=epsilon(256, 0.5), adaptive=True)
    for spec in (strict, lax):
        printed = reference_bounds(spec, prompt(p), 0.05)
        assert printed.success.confidence == pytest.approx(0.95)
        assert printed.success.ci_high == expected
    assert (
        assess_reference(strict, prompt(p)).evidence.upper > assess_reference(lax, prompt(p)).evidence.upper
    )


def test_scoring_alone_can_show_reach():
    """No reference success in 64, but 60 candidate successes of weight p/mix: a is near 0.02."""
    spec = spec_of()
    p, q = side(0, 64), side(60, 64)
    pair = pair_of(p, q, shift=3.5)
    found = assess_reference(spec, prompt(p, q, pair))
    assert found.probe.label == "in"
    assert found.probe.bound == "counts and scoring"
    assert assess_reference(spec, prompt(p)).probe.label == "undetermined"


def test_with_scoring_a_forecast_reaches_for_more_evidence():
    """Two thirds of the combined e-value are the counts': at 1/alpha of their own the class is still open."""
    spec = spec_of(budget={"k_use": 1, "k_probe": 1, "max_samples_per_prompt": 5000}, decision={"reach": 0.2})
    threshold, n = 0.2, 124
    counts = [c for c in range(n) if math.log(20) <= log_e_in(c, n, threshold) < math.log(30)]
    assert counts
    p, q = side(counts[0], n), side(0, n)
    open_class = assess_reference(spec, prompt(p, q, pair_of(p, q, 40.0))).probe
    assert open_class.label == "undetermined"
    assert open_class.samples_to_settle
    assert assess_reference(spec, prompt(p)).probe.label == "in"
    assert log_target_in(spec, scored=False) == pytest.approx(math.log(20))
    assert log_target_in(spec, scored=True) == pytest.approx(math.log(30))
    assert scored_log_target_in(spec) == pytest.approx(math.log(60))


def test_points_are_the_pilots_and_bounds_use_every_sample():
    """No success in the pilot, five in the top-up: the rate is not 5/1000, which stopping may have biased."""
    spec = spec_of()
    topped = candidate_bounds(spec, side(5, 1000, pilot=64), 0.05)
    assert (topped.success.value, topped.success.n) == (0.0, 1000)
    assert 0 < topped.success.ci_low < 0.005 < topped.success.ci_high < 0.02
    assert topped.price.value is None
    assert candidate_bounds(spec, side(5, 64), 0.05).success.value == pytest.approx(5 / 64)


def test_unusable_samples_are_failures_that_are_counted():
    found = assess_reference(spec_of(), prompt(side(2, 10, unusable=5)))
    assert (found.probe.unusable, found.probe.samples) == (5, 10)


def test_an_analysis_without_a_candidate_has_none_to_assess():
    with pytest.raises(ValueError, match="no candidate"):
        assess_candidate(spec_of(), prompt(side(1, 2)))
