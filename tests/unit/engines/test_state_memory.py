"""Samples that several models score are read once by their sampler, and the scores are the same."""

import numpy as np
import pytest
import torch

from workers.engines.causal_model import CausalModel
from workers.engines.loading import load_engine
from workers.engines.policy import Policy
from workers.engines.scoring import score_pair
from workers.engines.seeds import uniforms
from workers.engines.state_memory import StateMemory

PROMPT, POLICY = [2, 3, 4], Policy(max_new_tokens=9)


def states(rows):
    return torch.zeros(rows, 4)  # 16 bytes a row


def test_a_sweep_that_is_too_large_finds_its_beginning_again():
    memory = StateMemory(160)
    for sweep in range(3):
        memory.begin()
        found = [memory.get(bytes([n])) is not None for n in range(4)]
        assert found == ([False] * 4 if sweep == 0 else [True, True, False, False])
        for n, known in enumerate(found):
            if not known:
                memory.keep(bytes([n]), states(5))
    assert memory.bytes == 160


def test_other_samples_displace_those_of_earlier_sweeps():
    memory = StateMemory(160)
    for sweep in range(2):
        memory.begin()
        for n in range(2):
            memory.keep(bytes([sweep, n]), states(5))
    assert [memory.get(bytes([sweep, n])) is not None for sweep in range(2) for n in range(2)] == [
        False,
        False,
        True,
        True,
    ]
    memory.keep(b"large", states(20))
    assert memory.get(b"large") is None
    memory.clear()
    assert (memory.bytes, memory.get(bytes([1, 0]))) == (0, None)


@pytest.mark.parametrize("name", ["reference", "gpt2"])
def test_the_second_scorer_costs_one_model(folders, monkeypatch, name):
    sampler, fresh = (load_engine(folders / name) for _ in range(2))
    other = {"reference": "candidate", "gpt2": "gpt2_candidate"}[name]
    first, second = (load_engine(folders / other) for _ in range(2))
    drawn = sampler.sample(PROMPT, uniforms("a" * 64, 0, 30, 9), POLICY)
    seen, extend = [], CausalModel.extend

    def extended(model, cache, ids):
        seen.append(model)
        return extend(model, cache, ids)

    monkeypatch.setattr(CausalModel, "extend", extended)

    def scores(sampler, scorer):
        return score_pair(
            sampler,
            scorer,
            PROMPT,
            drawn.token_ids,
            POLICY,
            drawn.logprobs,
            keeps_states=sampler is not fresh,
        )

    one = scores(sampler, first)
    assert sampler in seen
    seen.clear()
    two = scores(sampler, second)
    assert seen
    assert sampler not in seen
    want = scores(fresh, first)
    for got in (one, two):
        np.testing.assert_array_equal(got.kl, want.kl)
        np.testing.assert_array_equal(got.logprob, want.logprob)
        np.testing.assert_array_equal(got.own_logprob, want.own_logprob)


def test_other_completions_or_another_prompt_are_not_taken_for_those(folders):
    sampler, scorer = load_engine(folders / "reference"), load_engine(folders / "candidate")
    rows = [np.array(ids, dtype=np.int32) for ids in ([2, 3, 0], [2, 3], [4, 2, 1])]
    for prompt in (PROMPT, [2, 3, 4, 5]):
        for part in (rows[:1], rows[1:2], rows[2:]):
            nothing = [np.zeros(len(ids), dtype=np.float32) for ids in part]
            kept = score_pair(sampler, scorer, prompt, part, POLICY, nothing, keeps_states=True)
            plain = score_pair(sampler, scorer, prompt, part, POLICY, nothing)
            np.testing.assert_array_equal(kept.own_logprob, plain.own_logprob)
