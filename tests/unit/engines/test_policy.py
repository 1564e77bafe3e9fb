import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from workers.engines.exclusion import exclusions
from workers.engines.policy import Policy, policy_log_probs

NEG = float("-inf")


def law(probs, policy, **kwargs):
    logits = torch.tensor([probs], dtype=torch.float64).log()
    return policy_log_probs(logits, policy, **kwargs)[0].exp().tolist()


def test_temperature_by_hand():
    # At temperature 1/2 probabilities are squared: 1/16, 9/16 out of 10/16.
    assert law([0.25, 0.75], Policy(temperature=0.5)) == pytest.approx([0.1, 0.9])


def test_top_k_keeps_ties_of_the_kth():
    assert law([0.4, 0.2, 0.2, 0.1, 0.1], Policy(top_k=2)) == pytest.approx([0.5, 0.25, 0.25, 0, 0])


def test_top_k_beyond_the_vocabulary_keeps_all():
    assert law([0.25, 0.75], Policy(top_k=50)) == pytest.approx([0.25, 0.75])


def test_top_p_is_the_smallest_set_that_reaches_the_mass():
    probs = [0.125, 0.5, 0.25, 0.125]  # exact in binary: cumulative 0.5, 0.75, 0.875, 1
    assert law(probs, Policy(top_p=0.75)) == pytest.approx([0, 2 / 3, 1 / 3, 0])
    assert law(probs, Policy(top_p=0.76)) == pytest.approx([1 / 7, 4 / 7, 2 / 7, 0])
    assert law(probs, Policy(top_p=0.01)) == [0, 1, 0, 0]


def test_nucleus_applies_to_what_top_k_left():
    # top-k leaves 0.4 and 0.3, renormalised to 4/7 and 3/7: the first alone reaches 0.5.
    assert law([0.3, 0.4, 0.2, 0.1], Policy(top_k=2, top_p=0.5)) == [0, 1, 0, 0]
    assert law([0.3, 0.4, 0.2, 0.1], Policy(top_p=0.5)) == pytest.approx([3 / 7, 4 / 7, 0, 0])


def test_ties_at_the_nucleus_edge_enter_by_id():
    assert law([0.25, 0.25, 0.25, 0.25], Policy(top_p=0.5)) == pytest.approx([0.5, 0.5, 0, 0])


def test_min_p_is_relative_to_the_mode():
    assert law([0.5, 0.25, 0.125, 0.125], Policy(min_p=0.5)) == pytest.approx([2 / 3, 1 / 3, 0, 0])


def test_a_missing_token_keeps_no_mass_under_any_policy():
    for policy in [Policy(), Policy(top_k=4), Policy(top_p=0.999), Policy(min_p=0.001)]:
        assert law([0.25, 0.75, 0.0], policy)[2] == 0


def test_half_precision_logits_are_widened():
    assert policy_log_probs(torch.zeros(1, 3, dtype=torch.bfloat16), Policy()).dtype == torch.float32
    assert policy_log_probs(torch.zeros(1, 3, dtype=torch.float64), Policy()).dtype == torch.float64


def test_wide_vocabulary_needs_more_than_the_guess(slow_policy):
    logits = torch.from_numpy(np.random.default_rng(0).normal(size=3000) * 0.1)
    policy = Policy(top_p=0.9)
    expected = slow_policy(logits.tolist(), policy)
    assert policy_log_probs(logits[None], policy)[0].tolist() == pytest.approx(expected)


levels = st.one_of(st.integers(-3, 3).map(float), st.floats(-8, 8, width=16))
policies = st.one_of(
    st.builds(
        Policy,
        temperature=st.sampled_from([0.5, 1.0, 1.7]),
        top_k=st.integers(0, 9),
        top_p=st.floats(0.05, 1.0),
    ),
    st.builds(Policy, temperature=st.sampled_from([0.5, 1.0]), min_p=st.floats(0.0, 0.9)),
)


def is_near_an_edge(logits, policy):
    """Whether rounding alone may decide a token: the slow definition sums in another order."""
    scaled = torch.tensor([logits], dtype=torch.float64) / policy.temperature
    kept = policy_log_probs(
        torch.tensor([logits], dtype=torch.float64), Policy(policy.temperature, policy.top_k)
    )
    cumulative = kept.exp().sort(descending=True).values.cumsum(-1)
    if policy.top_p < 1 and bool(((cumulative - policy.top_p).abs() < 1e-12).any()):
        return True
    shares = (scaled - scaled.max()).exp()
    return policy.min_p > 0 and bool(((shares - policy.min_p).abs() < 1e-12).any())


@settings(max_examples=300, deadline=None)
@given(st.lists(levels, min_size=1, max_size=7), policies)
def test_agrees_with_the_slow_definition(slow_policy, logits, policy):
    if is_near_an_edge(logits, policy):
        return
    got = policy_log_probs(torch.tensor([logits], dtype=torch.float64), policy)[0].tolist()
    assert got == pytest.approx(slow_policy(logits, policy), abs=1e-12)
    assert sum(map(math.exp, got)) == pytest.approx(1)


@settings(max_examples=100, deadline=None)
@given(st.lists(levels, min_size=1, max_size=7), policies, st.integers(-4, 4))
def test_a_constant_added_to_logits_changes_nothing(logits, policy, shift):
    if is_near_an_edge(logits, policy):
        return
    row = torch.tensor([logits], dtype=torch.float64)
    torch.testing.assert_close(policy_log_probs(row + shift, policy), policy_log_probs(row, policy))


def test_agrees_with_the_warpers_of_transformers():
    logits = torch.from_numpy(np.random.default_rng(1).normal(size=(50, 200)) * 2).float()
    warped = TemperatureLogitsWarper(0.7)(None, logits)
    warped = TopPLogitsWarper(0.8)(None, TopKLogitsWarper(20)(None, warped))
    got = policy_log_probs(logits, Policy(temperature=0.7, top_k=20, top_p=0.8))
    torch.testing.assert_close(got, warped.log_softmax(-1))


def test_a_drawn_token_is_kept_within_the_slack_only():
    # The nucleus of 0.75 is {0, 1}; token 2 starts at mass 0.75 + 1e-6.
    probs = [0.5, 0.25 + 1e-6, 0.15 - 1e-6, 0.1]
    policy, drawn = Policy(top_p=0.75), torch.tensor([2])
    assert law(probs, policy)[2] == 0
    assert law(probs, policy, keep=drawn, slack=1e-7)[2] == 0
    kept = law(probs, policy, keep=drawn, slack=1e-5)
    assert kept == pytest.approx([0.5 / 0.9, (0.25 + 1e-6) / 0.9, (0.15 - 1e-6) / 0.9, 0])


@pytest.mark.parametrize(
    ("probs", "policy", "token", "cause", "distance"),
    [
        ([0.4, 0.3, 0.2, 0.1], Policy(top_k=2), 2, "top_k", math.log(3 / 2)),
        ([0.4, 0.3, 0.2, 0.1], Policy(top_p=0.55), 2, "top_p", 0.15),
        ([0.4, 0.3, 0.2, 0.1], Policy(min_p=0.5, temperature=2.0), 3, None, None),
        ([0.4, 0.3, 0.2, 0.1], Policy(min_p=0.5), 3, "min_p", math.log(2)),
        ([0.4, 0.3, 0.2, 0.1], Policy(top_p=0.7 - 1e-6), 2, "edge", 1e-6),
        ([0.25, 0.25, 0.25, 0.25], Policy(top_p=0.5), 2, "edge", 0.0),
        ([0.4, 0.3 + 1e-6, 0.3 - 1e-6], Policy(top_k=2), 2, "edge", 2e-6 / 0.3),
        ([0.6, 0.4, 0.0], Policy(), 2, "vocabulary", math.inf),
        ([0.6, 0.4], Policy(), 7, "vocabulary", math.inf),
        ([0.6, 0.4], Policy(top_k=1), 0, None, None),
        # Just under the top-k floor but far outside the nucleus: the edge did not decide.
        ([0.5, 0.25 + 1e-7, 0.25 - 1e-7], Policy(top_k=2, top_p=0.4), 2, "top_k", 0.6),
    ],
)
def test_cause_and_distance_of_a_zero(probs, policy, token, cause, distance):
    logits = torch.tensor([probs], dtype=torch.float64).log()
    (found,) = exclusions(logits, torch.tensor([token]), policy, tolerance=1e-4)
    if cause is None:
        assert found is None
    else:
        assert found.cause == cause
        assert found.distance == pytest.approx(distance, rel=1e-3, abs=1e-9)


@settings(max_examples=200, deadline=None)
@given(st.lists(levels, min_size=1, max_size=7), policies)
def test_exactly_the_tokens_of_probability_zero_are_explained(logits, policy):
    rows = torch.tensor([logits] * len(logits), dtype=torch.float64)
    zero = (policy_log_probs(rows[:1], policy)[0] == NEG).tolist()
    found = exclusions(rows, torch.arange(len(logits)), policy, tolerance=1e-9)
    assert [exclusion is not None for exclusion in found] == zero


@pytest.mark.parametrize(
    "values",
    [
        {"temperature": 0.0},
        {"temperature": math.inf},
        {"top_k": -1},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"min_p": 1.0},
        {"min_p": 0.1, "top_p": 0.9},
        {"min_p": 0.1, "top_k": 3},
        {"max_new_tokens": 0},
        {"stop": ("",)},
    ],
)
def test_meaningless_policies_are_refused(values):
    with pytest.raises(ValueError):  # noqa: PT011
        Policy(**values)


def test_canonical_form_forgets_spelling():
    one = Policy(temperature=1, stop=("b", "a", "b"))
    two = Policy(temperature=1.0, stop=("a", "b"))
    assert one.canonical() == two.canonical()
    assert not Policy().is_truncating
    assert Policy(top_p=0.9).is_truncating
