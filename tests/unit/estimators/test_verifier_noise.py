"""Rogan-Gladen with intervals, against hand arithmetic, brute force over rates, and enumeration of audits."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from workers.estimators.counts import clopper_pearson, epsilon, log_e_in, log_e_out
from workers.estimators.evidence import Levels, ThresholdEvidence, candidate_evidence
from workers.estimators.reference_counts import CandidateCounts
from workers.estimators.verifier_noise import (
    AUDIT_SHARE,
    Audit,
    NoiseBounds,
    accepted_thresholds,
    at_threshold,
    in_threshold,
    out_threshold,
    true_evidence,
)

RATES = st.floats(0.0, 0.45)


def test_the_point_by_hand():
    """f = 2/100, m = 10/100: an accepted rate of 0.46 is (0.46 - 0.02)/(1 - 0.02 - 0.1) = 0.5."""
    audit = Audit(right=100, accepted_right=90, wrong=100, accepted_wrong=2)
    assert audit.corrected(0.46) == pytest.approx(0.5)
    assert audit.corrected(0.01) == 0.0
    assert audit.corrected(0.99) == 1.0
    assert Audit(right=10, accepted_right=5, wrong=10, accepted_wrong=5).corrected(0.5) is None
    assert Audit(right=0, accepted_right=0, wrong=10, accepted_wrong=0).corrected(0.5) is None


def test_rates_and_their_exact_intervals():
    audit = Audit(right=50, accepted_right=48, wrong=30, accepted_wrong=0)
    refused, taken = audit.false_negative_rate(0.95), audit.false_positive_rate(0.95)
    assert (refused.value, refused.n) == (0.04, 50)
    assert (refused.ci_low, refused.ci_high) == clopper_pearson(2, 50, 0.95)
    assert (taken.value, taken.ci_low) == (0.0, 0.0)
    assert 1 - taken.ci_high == pytest.approx(0.025 ** (1 / 30))
    none = Audit(right=0, accepted_right=0, wrong=0, accepted_wrong=0)
    assert none.false_positive_rate(0.95).status == "undefined"
    assert not none.bounds(0.05).informative


@pytest.mark.parametrize("counts", [(1, 2, 0, 0), (0, 0, 1, 2), (-1, -1, 0, 0)])
def test_impossible_counts(counts):
    right, accepted_right, wrong, accepted_wrong = counts
    with pytest.raises(ValueError, match="more texts"):
        Audit(right=right, accepted_right=accepted_right, wrong=wrong, accepted_wrong=accepted_wrong)


@given(RATES, RATES, RATES, RATES, st.floats(0, 1))
def test_thresholds_are_the_extremes_over_all_rates_in_the_bounds(f1, f2, m1, m2, a):
    bounds = NoiseBounds(*sorted((f1, f2)), *sorted((m1, m2)))
    grid = [
        f * (1 - a) + (1 - m) * a
        for f, m in itertools.product(
            np.linspace(bounds.f_low, bounds.f_high, 9), np.linspace(bounds.m_low, bounds.m_high, 9)
        )
    ]
    assert bounds.highest_accepted(a) == pytest.approx(max(grid))
    assert bounds.lowest_accepted(a) == pytest.approx(min(grid))


@given(RATES, RATES, RATES, RATES, st.floats(0, 1), st.floats(0, 1))
def test_no_truth_that_the_bounds_allow_is_outside_the_interval(f1, f2, m1, m2, a, where):
    bounds = NoiseBounds(*sorted((f1, f2)), *sorted((m1, m2)))
    for f, m in itertools.product((bounds.f_low, bounds.f_high), (bounds.m_low, bounds.m_high)):
        accepted = f * (1 - a) + (1 - m) * a
        low, high = bounds.true_interval(accepted * where, accepted + (1 - accepted) * where)
        assert low - 1e-9 <= a <= high + 1e-9


def test_a_perfect_verifier_changes_nothing():
    bounds = NoiseBounds(0.0, 0.0, 0.0, 0.0)
    assert bounds.true_interval(0.2, 0.7) == (0.2, 0.7)
    assert in_threshold(bounds, 0.01) == out_threshold(bounds, 0.01) == 0.01


def test_a_verifier_that_may_be_a_coin_says_nothing():
    bounds = NoiseBounds(0.1, 0.6, 0.1, 0.5)
    assert bounds.true_interval(0.4, 0.5) == (0.0, 1.0)
    sure = ThresholdEvidence(threshold=0.5, log_e_in=99.0, log_e_out=99.0)
    found = at_threshold(bounds, 0.1, sure, sure)
    assert (found.log_e_in, found.log_e_out) == (-math.inf, -math.inf)


def test_rarity_that_noise_could_explain_is_certified_by_nothing():
    """At K = 256, 20 accepted of 2,000 are far above eps; with up to 1.7 % of wrong texts accepted, not."""
    audit = Audit(right=200, accepted_right=200, wrong=300, accepted_wrong=0)
    bounds, eps = audit.bounds(0.05), epsilon(256, 0.5)
    assert bounds.f_high > 0.01 > eps
    assert in_threshold(bounds, eps) > 0.01
    assert out_threshold(bounds, eps) == pytest.approx(eps * (1 - bounds.m_high))


def evidence_of(successes, n, alpha=0.05):
    correct = np.arange(n) < successes
    levels = Levels(
        epsilon_use=0.08, epsilon_probe=0.003, planned_n=2048, alpha=(1 - AUDIT_SHARE) * alpha, adaptive=False
    )
    return candidate_evidence(CandidateCounts.of(correct, n), levels)


def test_evidence_becomes_that_of_the_truth():
    audit = Audit(right=1000, accepted_right=900, wrong=1000, accepted_wrong=20)
    accepted = evidence_of(46, 100)
    found = true_evidence(audit, audit.bounds(0.05), accepted, 0.95)
    assert found.success.value == pytest.approx(0.5)
    low, high = audit.bounds(0.05).true_interval(math.exp(accepted.log_lower), accepted.upper)
    assert (found.success.ci_low, found.success.ci_high) == (low, high)
    assert found.price.value == pytest.approx(math.log(2))
    assert (found.price.ci_low, found.price.ci_high) == pytest.approx((-math.log(high), -math.log(low)))
    nothing = true_evidence(audit, audit.bounds(0.05), evidence_of(2, 100), 0.95)
    assert (nothing.success.value, nothing.success.ci_low) == (0.0, 0.0)
    assert nothing.price.status == "censored"


@pytest.mark.parametrize(("f", "m"), [(0.01, 0.2), (0.05, 0.05), (0.3, 0.4), (0.0, 0.5)])
def test_all_four_ends_hold_together_by_enumeration(f, m):
    """All audits of 400 right and 400 wrong texts: any end misses its rate with AUDIT_SHARE alpha at most."""
    n, alpha = 400, 0.2
    audits = [Audit(right=n, accepted_right=n - c, wrong=n, accepted_wrong=c) for c in range(n + 1)]
    ends = [audit.bounds(alpha) for audit in audits]
    f_held = sum(binom.pmf(c, n, f) for c, one in enumerate(ends) if one.f_low <= f <= one.f_high)
    m_held = sum(binom.pmf(c, n, m) for c, one in enumerate(ends) if one.m_low <= m <= one.m_high)
    assert 1 - f_held * m_held <= AUDIT_SHARE * alpha


def test_thresholds_without_an_audit_and_with_one_that_shows_nothing():
    assert accepted_thresholds(None, 0.01) == (0.01, 0.01)
    bounds = NoiseBounds(0.01, 0.02, 0.1, 0.3)
    assert accepted_thresholds(bounds, 0.1) == pytest.approx((0.02 * 0.9 + 0.9 * 0.1, 0.01 * 0.9 + 0.7 * 0.1))
    for_in, for_out = accepted_thresholds(NoiseBounds(0.1, 0.6, 0.1, 0.5), 0.1)
    assert log_e_in(4000, 4000, for_in) < 0.01
    assert log_e_out(0, 4000, for_out, 4000) < 0.01


@pytest.mark.parametrize(
    ("a", "f", "m"), [(0.0, 0.02, 0.1), (0.05, 0.01, 0.05), (0.5, 0.1, 0.2), (0.9, 0.0, 0.0)]
)
def test_the_interval_covers_by_enumeration_of_audit_and_samples(a, f, m):
    """All audits of 40 right and 60 wrong texts with all counts of 50 samples: exact coverage."""
    right, wrong, n, alpha = 40, 60, 50, 0.2
    accepted_rate = f * (1 - a) + (1 - m) * a
    law = binom.pmf(np.arange(n + 1), n, accepted_rate)
    ends = [clopper_pearson(c, n, 1 - (1 - AUDIT_SHARE) * alpha) for c in range(n + 1)]
    covered = 0.0
    for refused, taken in itertools.product(range(right + 1), range(wrong + 1)):
        weight = binom.pmf(refused, right, m) * binom.pmf(taken, wrong, f)
        if weight < 1e-9:
            continue
        audit = Audit(right=right, accepted_right=right - refused, wrong=wrong, accepted_wrong=taken)
        bounds = audit.bounds(alpha)
        for chance, (low, high) in zip(law, ends, strict=True):
            true_low, true_high = bounds.true_interval(low, high)
            covered += weight * chance * (true_low - 1e-12 <= a <= true_high + 1e-12)
    assert covered >= 1 - alpha
