import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from workers.engines.causal_model import CausalModel
from workers.engines.enumeration import enumerate_completions, exact_divergence
from workers.engines.errors import EngineAborted, PromptTooLong
from workers.engines.loading import load_engine
from workers.engines.policy import Policy
from workers.engines.scoring import _batch_tokens, score_pair
from workers.engines.seeds import uniforms

PROMPT = [2, 3, 4]
KEY = "fedcba9876543210" * 4
PAIRS = [("candidate", "reference"), ("gpt2_candidate", "gpt2")]
POLICIES = [
    Policy(max_new_tokens=9),
    Policy(temperature=0.8, top_k=5, max_new_tokens=9),
    Policy(top_p=0.9, max_new_tokens=9, stop=("ab",)),
    Policy(min_p=0.1, max_new_tokens=9),
]


def drawn(engine, policy, n=40):
    return engine.sample(PROMPT, uniforms(KEY, 0, n, policy.max_new_tokens), policy)


def scored(sampler, scorer, policy, batch, **kwargs):
    return score_pair(sampler, scorer, PROMPT, batch.token_ids, policy, batch.logprobs, **kwargs)


def slow_kl(one, two):
    total = 0.0
    for q, p in zip(one, two, strict=True):
        if q > -np.inf:
            total += np.exp(q) * (q - p)
    return total


@pytest.mark.parametrize(("sampler", "scorer"), PAIRS)
@pytest.mark.parametrize("policy", POLICIES)
def test_every_column_equals_a_full_forward(request, slow_law, sampler, scorer, policy):
    sampler, scorer = request.getfixturevalue(sampler), request.getfixturevalue(scorer)
    batch = drawn(sampler, policy)
    got = scored(sampler, scorer, policy, batch, chunk=7, max_batch_tokens=50)
    for i, ids in enumerate(batch.token_ids):
        prefixes = [[*PROMPT, *ids[:t].tolist()] for t in range(len(ids))]
        own = [slow_law(sampler, prefix, policy) for prefix in prefixes]
        other = [slow_law(scorer, prefix, policy) for prefix in prefixes]
        want = [law[token] for law, token in zip(other, ids, strict=True)]
        np.testing.assert_allclose(got.token_logprobs[i], want, atol=1e-4)
        np.testing.assert_allclose(got.logprob[i], sum(want), atol=5e-4)
        np.testing.assert_allclose(
            got.own_logprob[i], sum(law[token] for law, token in zip(own, ids, strict=True)), atol=5e-4
        )
        kl = [slow_kl(q, p) for q, p in zip(own, other, strict=True)]
        np.testing.assert_allclose(got.token_kl[i], kl, atol=1e-4)
        np.testing.assert_allclose(got.kl[i], sum(kl), atol=5e-4)
        entropy = -sum(np.exp(x) * x for law in own for x in law if x > -np.inf)
        np.testing.assert_allclose(got.entropy[i], entropy, atol=5e-4)
        assert (got.zero_cause[i] == "") == np.isfinite(got.logprob[i])
    assert got.max_token_diff.max() < 1e-4


@pytest.mark.parametrize("policy", POLICIES[1:])
def test_zeros_name_the_filter(candidate, reference, policy):
    got = scored(candidate, reference, policy, drawn(candidate, policy, 100))
    causes = {cause for cause, value in zip(got.zero_cause, got.logprob, strict=True) if np.isneginf(value)}
    name = {1: "top_k", 2: "top_p", 3: "min_p"}[POLICIES.index(policy)]
    assert causes == {name}


@pytest.mark.parametrize(("sampler", "scorer"), PAIRS)
def test_expected_token_kl_is_the_exact_kl(request, sampler, scorer):
    """Over every completion weighted by its probability, the estimators have no error left."""
    sampler, scorer = request.getfixturevalue(sampler), request.getfixturevalue(scorer)
    policy = Policy(max_new_tokens=3, temperature=1.3)
    every = enumerate_completions(sampler, PROMPT, policy)
    ids = [np.array(c.token_ids, dtype=np.int32) for c in every]
    stored = [np.zeros(len(row), dtype=np.float32) for row in ids]
    mass = np.exp([c.log_prob for c in every])
    got = score_pair(sampler, scorer, PROMPT, ids, policy, stored)
    exact = exact_divergence(sampler, scorer, PROMPT, policy)
    assert np.sum(mass * got.kl) == pytest.approx(exact.kl, abs=1e-5)
    assert np.sum(mass * (got.own_logprob - got.logprob)) == pytest.approx(exact.kl, abs=1e-5)
    assert np.sum(mass * got.entropy) == pytest.approx(exact.entropy, abs=1e-5)
    assert np.var(got.kl, ddof=0) < np.var(got.own_logprob - got.logprob)


def test_singular_mass_by_scoring_equals_enumeration(candidate, reference):
    policy = Policy(top_k=5, max_new_tokens=2)
    every = enumerate_completions(candidate, PROMPT, policy)
    ids = [np.array(c.token_ids, dtype=np.int32) for c in every]
    got = score_pair(candidate, reference, PROMPT, ids, policy, [np.zeros(len(x), np.float32) for x in ids])
    mass = sum(np.exp(c.log_prob) for c, x in zip(every, got.logprob, strict=True) if np.isneginf(x))
    assert mass == pytest.approx(exact_divergence(candidate, reference, PROMPT, policy).singular_mass)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_model_does_not_differ_from_itself(reference, folders, policy):
    batch = drawn(reference, policy)
    for twin in (reference, load_engine(folders / "reference")):
        got = scored(reference, twin, policy, batch)
        assert (got.kl == 0).all()
        assert all((row == 0).all() for row in got.token_kl)
        np.testing.assert_array_equal(got.logprob, got.own_logprob)
        assert set(got.zero_cause) == {""}


def test_a_model_is_read_once_when_both_sides_are_one(reference, monkeypatch):
    batch = drawn(reference, POLICIES[0])
    reference.prefixes.clear()
    calls, extend = [], CausalModel.extend
    monkeypatch.setattr(
        CausalModel, "extend", lambda self, cache, ids: calls.append(len(ids)) or extend(self, cache, ids)
    )
    scored(reference, reference, POLICIES[0], batch)
    assert len(calls) == 2  # the prompt, then one batch


def test_chunks_and_batches_change_nothing(candidate, reference):
    policy = POLICIES[1]
    batch = drawn(candidate, policy, 60)
    whole = scored(candidate, reference, policy, batch)
    parts = scored(candidate, reference, policy, batch, chunk=1, max_batch_tokens=1)
    np.testing.assert_allclose(parts.logprob, whole.logprob, atol=1e-4)
    np.testing.assert_allclose(parts.kl, whole.kl, atol=1e-4)
    assert parts.zero_cause == whole.zero_cause


def test_equal_completions_are_computed_once_and_kept_in_order(candidate, reference, monkeypatch):
    policy = Policy(max_new_tokens=1)
    batch = drawn(candidate, policy, 200)
    hidden = []
    scores = CausalModel.scores
    monkeypatch.setattr(
        CausalModel, "scores", lambda self, h, **how: hidden.append(len(h)) or scores(self, h, **how)
    )
    got = scored(candidate, reference, policy, batch)
    distinct = len({row.tobytes() for row in batch.token_ids})
    assert sum(hidden) == 2 * distinct < 2 * 200
    by_token = {}
    for ids, value in zip(batch.token_ids, got.logprob, strict=True):
        assert by_token.setdefault(int(ids[0]), value) == value


def test_stored_values_that_disagree_show(candidate, reference):
    policy = POLICIES[0]
    batch = drawn(candidate, policy, 5)
    batch.logprobs[3][0] += 0.25
    got = scored(candidate, reference, policy, batch)
    assert got.max_token_diff[3] == pytest.approx(0.25, abs=1e-4)
    assert got.max_token_diff[[0, 1, 2, 4]].max() < 1e-4


def test_a_drawn_token_at_the_edge_of_its_own_nucleus_keeps_its_mass(reference, slow_law):
    """The sampler drew it, so it was inside; a recomputation that rounds it out is corrected."""
    law = np.exp(slow_law(reference, PROMPT, Policy()))
    order = np.argsort(-law)
    second = float(law[order[:2]].sum())
    token = np.array([order[2]], dtype=np.int32)
    inside = Policy(top_p=second + 1e-6, max_new_tokens=1)
    outside = Policy(top_p=second - 1e-6, max_new_tokens=1)
    far = Policy(top_p=second - 1e-2, max_new_tokens=1)
    stored = [np.array([np.log(law[order[2]] / law[order[:3]].sum())], dtype=np.float32)]
    for policy in (inside, outside):
        got = score_pair(reference, reference, PROMPT, [token], policy, stored)
        assert got.max_token_diff[0] < 1e-4
        assert got.zero_cause == [""]
    got = score_pair(reference, reference, PROMPT, [token], far, stored)
    assert got.max_token_diff[0] == np.inf
    assert got.zero_cause == ["top_p"]


def test_a_scorer_that_just_excludes_a_token_says_edge(candidate, reference, slow_law):
    law = np.exp(slow_law(reference, PROMPT, Policy()))
    order = np.argsort(-law)
    policy = Policy(top_p=float(law[order[:2]].sum()) - 1e-6, max_new_tokens=1)
    token = np.array([order[2]], dtype=np.int32)
    got = score_pair(candidate, reference, PROMPT, [token], policy, [np.zeros(1, np.float32)])
    assert got.zero_cause == ["edge"]
    assert np.isneginf(got.logprob[0])


def test_a_token_the_scorer_lacks_is_outside_its_vocabulary(build_tiny_model, tmp_path, candidate):
    short = load_engine(build_tiny_model(tmp_path / "short", seed=1, vocabulary="abcde"))
    policy = Policy(max_new_tokens=4)
    ids = [np.array([2, 7, 3], dtype=np.int32), np.array([2, 6, 1], dtype=np.int32)]
    stored = [np.zeros(3, np.float32)] * 2
    got = score_pair(candidate, short, PROMPT, ids, policy, stored)
    assert got.zero_cause == ["vocabulary", ""]
    assert np.isfinite(got.token_logprobs[0][0])
    assert np.isneginf(got.token_logprobs[0][1:]).all()
    assert np.isinf(got.kl).all()  # the sampler may always have drawn f
    # The other way round nothing is missing.
    got = score_pair(short, candidate, PROMPT, ids[1:], policy, stored[1:])
    assert np.isfinite(got.kl[0])
    with pytest.raises(ValueError, match="does not have"):
        score_pair(short, candidate, PROMPT, ids, policy, stored)


def test_padding_of_one_side_does_not_matter(build_tiny_model, tmp_path, candidate):
    padded = load_engine(build_tiny_model(tmp_path / "padded", seed=1, padded_rows=24))
    policy = POLICIES[0]
    got = scored(candidate, padded, policy, drawn(candidate, policy))
    assert np.isfinite(got.kl).all()
    back = scored(padded, candidate, policy, drawn(padded, policy))
    assert np.isfinite(back.kl).all()


def test_running_out_of_memory_halves_the_batch(candidate, reference, monkeypatch):
    policy = POLICIES[0]
    batch = drawn(candidate, policy)
    expected = scored(candidate, reference, policy, batch)
    extend = CausalModel.extend

    def narrow(self, cache, token_ids):
        if token_ids.numel() > 30:
            raise torch.OutOfMemoryError("out of memory")
        return extend(self, cache, token_ids)

    monkeypatch.setattr(CausalModel, "extend", narrow)
    got = scored(candidate, reference, policy, batch)
    np.testing.assert_allclose(got.logprob, expected.logprob, atol=1e-4)


def test_progress_abort_and_limits(candidate, reference):
    policy = POLICIES[0]
    batch = drawn(candidate, policy)
    seen = []
    scored(candidate, reference, policy, batch, max_batch_tokens=30, on_progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 40
    with pytest.raises(EngineAborted):
        scored(candidate, reference, policy, batch, should_stop=lambda: True)
    with pytest.raises(PromptTooLong):
        score_pair(candidate, reference, [2] * 60, batch.token_ids, policy, batch.logprobs)
    with pytest.raises(ValueError, match="aligned"):
        score_pair(candidate, reference, PROMPT, batch.token_ids, policy, [x[1:] for x in batch.logprobs])
    empty = score_pair(candidate, reference, PROMPT, [], policy, [])
    assert empty.logprob.shape == (0,)


def test_gpt2_and_llama_do_not_share_a_law(gpt2, reference, folders, tmp_path):
    assert not gpt2.is_same_law(reference)
    assert load_engine(shutil.copytree(folders / "gpt2", tmp_path / "copy")).is_same_law(gpt2)


def test_a_gpu_reads_more_tokens_together_the_narrower_the_model():
    def together(width, inner, device="cuda"):
        config = SimpleNamespace(intermediate_size=inner)
        model = SimpleNamespace(config=config)
        head = torch.empty(1, width)
        return _batch_tokens(
            SimpleNamespace(device=torch.device(device), head=head, model=model, dtype=torch.bfloat16)
        )

    assert together(64, 128) == 65_536
    assert 2**30 / together(4096, 11008) == pytest.approx(2 * (4 * 4096 + 2 * 11008), rel=1e-3)
    assert together(4096, None) > together(4096, 5 * 4096)
    assert together(4096, [2048, 11008]) == together(4096, 11008)
    assert together(2**16, 2**18) == 4_096
    assert together(64, 128, "cpu") == 1_024
