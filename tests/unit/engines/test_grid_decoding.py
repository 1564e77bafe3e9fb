"""Many prompts in one grid: the same completions as each prompt alone, and as transformers' forward gives."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workers.engines.causal_model import CausalModel
from workers.engines.decoding import Wanted, sample_completions, sample_prompts
from workers.engines.grid_decoding import rows_per_block
from workers.engines.loading import load_engine
from workers.engines.policy import Policy
from workers.engines.seeds import uniforms

POLICIES = [Policy(max_new_tokens=12), Policy(max_new_tokens=12, temperature=1.5, top_k=6, stop=("ad",))]
PROMPTS = [[2, 3, 4], [5], [6, 7, 2, 3, 4, 5, 6], [3, 3]]
COUNTS = [40, 3, 17, 0]


def wanted(policy, prompts=PROMPTS, counts=COUNTS):
    return [
        Wanted(prompt, uniforms(f"{number:x}" * 64, 0, count, policy.max_new_tokens))
        for number, (prompt, count) in enumerate(zip(prompts, counts, strict=True))
    ]


def as_rows(batch):
    ids = [tuple(row.tolist()) for row in batch.token_ids]
    return list(zip(ids, batch.finish_reasons, batch.texts, strict=True))


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("size", [1, 5, 16, 200])
def test_prompts_together_are_prompts_alone(reference, policy, size):
    each = wanted(policy)
    together = sample_prompts(reference, each, policy, size)
    for one, batch in zip(each, together, strict=True):
        alone = sample_completions(reference, one.prompt_ids, one.uniforms, policy, 64)
        assert as_rows(batch) == as_rows(alone)
        for got, want in zip(batch.logprobs, alone.logprobs, strict=True):
            np.testing.assert_allclose(got, want, atol=1e-4)


@pytest.mark.parametrize("policy", POLICIES)
def test_the_grid_draws_what_the_stock_forward_draws(folders, reference, policy):
    stock = load_engine(folders / "reference")
    stock._lean = None
    assert reference.is_lean
    assert not stock.is_lean
    pairs = zip(
        sample_prompts(reference, wanted(policy), policy, 16),
        sample_prompts(stock, wanted(policy), policy, 16),
        strict=True,
    )
    assert all(as_rows(mine) == as_rows(theirs) for mine, theirs in pairs)


def test_finished_rows_make_room_for_the_next(reference, monkeypatch):
    """Fewer steps than batch by batch, because the grid stays full."""
    widths, extend = [], CausalModel.extend
    monkeypatch.setattr(
        CausalModel,
        "extend",
        lambda self, cache, ids: widths.append(tuple(ids.shape)) or extend(self, cache, ids),
    )
    policy = Policy(max_new_tokens=40)
    batch = sample_completions(reference, PROMPTS[0], uniforms("c" * 64, 0, 200, 40), policy, 20)
    lengths = [len(ids) for ids in batch.token_ids]
    by_batches = sum(max(lengths[lo : lo + 20]) for lo in range(0, 200, 20))
    assert len(widths) < 0.75 * by_batches
    assert max(rows for rows, _ in widths) <= 20


def test_memory_that_runs_out_in_the_middle_costs_no_row(reference, monkeypatch):
    policy, calls, extend = POLICIES[0], [], CausalModel.extend
    expected = [as_rows(batch) for batch in sample_prompts(reference, wanted(policy), policy, 30)]

    def fickle(self, cache, token_ids):
        calls.append(len(token_ids))
        if len(token_ids) > 9 and len(calls) % 5 == 0:
            raise torch.OutOfMemoryError("out of memory")
        return extend(self, cache, token_ids)

    monkeypatch.setattr(CausalModel, "extend", fickle)
    got = [as_rows(batch) for batch in sample_prompts(reference, wanted(policy), policy, 30)]
    assert got == expected


def test_each_prompt_is_read_once(reference, monkeypatch):
    read, seen = CausalModel.read, []
    monkeypatch.setattr(CausalModel, "read", lambda self, ids: seen.append(len(ids)) or read(self, ids))
    sample_prompts(reference, wanted(POLICIES[0]), POLICIES[0], 7)
    assert sorted(seen) == [1, 3, 7]


@given(st.lists(st.integers(1, 300), min_size=1, max_size=40))
def test_blocks_leave_a_quarter_idle_at_most(counts):
    each = rows_per_block(counts)
    slots = sum(-(-count // each) * each for count in counts)
    assert 1 <= each <= max(counts)
    assert each == 1 or slots * 3 <= 4 * sum(counts)
    if len(set(counts)) == 1:
        assert each == counts[0]
