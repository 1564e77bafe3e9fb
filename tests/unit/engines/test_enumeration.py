import functools
import itertools
import math

import numpy as np
import pytest

from workers.engines import enumeration
from workers.engines.enumeration import enumerate_completions, exact_divergence
from workers.engines.errors import PromptTooLong, TreeTooLarge
from workers.engines.policy import Policy

PROMPT = [2, 3, 4]
POLICIES = [
    Policy(max_new_tokens=3),
    Policy(temperature=0.6, top_k=3, max_new_tokens=4),
    Policy(temperature=1.5, top_k=6, top_p=0.8, max_new_tokens=3),
    Policy(min_p=0.1, max_new_tokens=3, stop=("ab", "f")),
    Policy(max_new_tokens=1),
]


def slow_completions(engine, slow_law, policy):
    """Every token string of every length, judged by the definition: no tree, no cache, no batch."""
    found = {}
    law = functools.cache(lambda ids: slow_law(engine, [*PROMPT, *ids], policy))
    for length in range(1, policy.max_new_tokens + 1):
        for ids in itertools.product(range(engine.vocabulary_size), repeat=length):
            log_prob = 0.0
            for t, token in enumerate(ids):
                if t and ended(engine, ids[:t], policy):
                    break
                log_prob += law(ids[:t])[token]
                if log_prob == -math.inf:
                    break
            else:
                if (length == policy.max_new_tokens or ended(engine, ids, policy)) and log_prob > -math.inf:
                    found[ids] = log_prob
    return found


def ended(engine, ids, policy):
    text = "".join("abcdef"[token - 2] for token in ids if token >= 2)
    return ids[-1] in engine.eos_ids or any(stop in text for stop in policy.stop)


@pytest.mark.parametrize("name", ["reference", "gpt2"])
@pytest.mark.parametrize("policy", POLICIES)
def test_probabilities_sum_to_one(request, name, policy):
    completions = enumerate_completions(request.getfixturevalue(name), PROMPT, policy)
    assert math.fsum(math.exp(c.log_prob) for c in completions) == pytest.approx(1, abs=1e-12)
    assert len({c.token_ids for c in completions}) == len(completions)


@pytest.mark.parametrize("name", ["reference", "gpt2"])
@pytest.mark.parametrize(
    "policy",
    [
        Policy(max_new_tokens=3),
        Policy(temperature=0.7, top_k=4, top_p=0.9, max_new_tokens=4, stop=("a", "bc")),
        Policy(min_p=0.3, max_new_tokens=3),
    ],
)
def test_tree_equals_the_definition(request, slow_law, name, policy):
    engine = request.getfixturevalue(name)
    expected = slow_completions(engine, slow_law, policy)
    got = {c.token_ids: c.log_prob for c in enumerate_completions(engine, PROMPT, policy)}
    assert got.keys() == expected.keys()
    for ids, log_prob in got.items():
        assert log_prob == pytest.approx(expected[ids], abs=1e-5)


def test_finish_reasons(reference):
    completions = enumerate_completions(reference, PROMPT, Policy(max_new_tokens=2, stop=("ab", "c")))
    by_ids = {c.token_ids: c.finish_reason for c in completions}
    assert by_ids[(1,)] == "eos"
    assert by_ids[(4,)] == "stop"
    assert by_ids[(2, 3)] == "stop"  # rather than length
    assert by_ids[(2, 1)] == "eos"  # rather than length
    assert by_ids[(3, 2)] == "length"
    assert (2, 4) in by_ids
    assert not any(ids[0] in (1, 4) and len(ids) > 1 for ids in by_ids)


def test_wide_levels_are_walked_in_parts(reference, monkeypatch):
    policy = Policy(max_new_tokens=3)
    whole = enumerate_completions(reference, PROMPT, policy)
    monkeypatch.setattr(enumeration, "_MAX_ROWS", 5)
    parts = enumerate_completions(reference, PROMPT, policy)
    assert sorted(c.token_ids for c in parts) == sorted(c.token_ids for c in whole)
    assert math.fsum(math.exp(c.log_prob) for c in parts) == pytest.approx(1, abs=1e-12)


def test_large_trees_are_refused(reference):
    with pytest.raises(TreeTooLarge):
        enumerate_completions(reference, PROMPT, Policy(max_new_tokens=3), max_nodes=400)
    # 8 tokens, one of them EOS: 1 + 8 + 7*8 + 49*8 nodes.
    assert len(enumerate_completions(reference, PROMPT, Policy(max_new_tokens=3), max_nodes=457)) == 400


def test_prompts_that_do_not_fit_are_refused(reference):
    with pytest.raises(PromptTooLong):
        enumerate_completions(reference, [2] * 62, Policy(max_new_tokens=3))
    assert enumerate_completions(reference, [2] * 61, Policy(max_new_tokens=3, top_k=1))


def test_divergence_equals_the_sum_over_two_enumerations(reference, candidate):
    policy = Policy(max_new_tokens=3)
    q = {c.token_ids: c.log_prob for c in enumerate_completions(candidate, PROMPT, policy)}
    p = {c.token_ids: c.log_prob for c in enumerate_completions(reference, PROMPT, policy)}
    exact = exact_divergence(candidate, reference, PROMPT, policy)
    assert exact.kl == pytest.approx(math.fsum(math.exp(q[y]) * (q[y] - p[y]) for y in q))
    assert exact.entropy == pytest.approx(-math.fsum(math.exp(q[y]) * q[y] for y in q))
    assert exact.singular_mass == 0
    assert exact_divergence(reference, candidate, PROMPT, policy).kl != pytest.approx(exact.kl)


def test_singular_mass_is_what_the_scorer_cannot_produce(reference, candidate):
    policy = Policy(top_k=5, max_new_tokens=2)
    q = {c.token_ids: c.log_prob for c in enumerate_completions(candidate, PROMPT, policy)}
    p = {c.token_ids for c in enumerate_completions(reference, PROMPT, policy)}
    exact = exact_divergence(candidate, reference, PROMPT, policy)
    assert 0 < exact.singular_mass < 1
    assert exact.singular_mass == pytest.approx(math.fsum(math.exp(q[y]) for y in q.keys() - p))
    assert np.isinf(exact.kl)
