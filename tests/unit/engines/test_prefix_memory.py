"""A prompt is read once for all that is done with it, and what is kept is bounded."""

import numpy as np
import pytest
import torch

from workers.engines.causal_model import CausalModel
from workers.engines.loading import load_engine
from workers.engines.policy import Policy
from workers.engines.prefix_memory import PrefixMemory
from workers.engines.scoring import score_pair
from workers.engines.seeds import uniforms

PROMPT = [2, 3, 4, 5]
POLICY = Policy(max_new_tokens=6)


@pytest.fixture
def shapes(monkeypatch):
    """Shapes of everything that any model computes on."""
    seen, extend = [], CausalModel.extend
    monkeypatch.setattr(
        CausalModel,
        "extend",
        lambda self, cache, ids: seen.append((id(self), tuple(ids.shape))) or extend(self, cache, ids),
    )
    return seen


@pytest.mark.parametrize("name", ["reference", "gpt2"])
def test_later_rounds_and_scores_read_no_prompt_again(folders, shapes, name):
    model, other = load_engine(folders / name), load_engine(folders / name)
    rounds = [model.sample(PROMPT, uniforms("a" * 64, low, low + 9, 6), POLICY) for low in (0, 9)]
    fresh = other.sample(PROMPT, uniforms("a" * 64, 0, 18, 6), POLICY, batch_size=9)
    drawn = [ids for batch in rounds for ids in batch.token_ids]
    assert all(np.array_equal(a, b) for a, b in zip(drawn, fresh.token_ids, strict=True))
    score_pair(model, other, PROMPT, drawn, POLICY, [row for batch in rounds for row in batch.logprobs])
    for one in (model, other):
        read = [shape for who, shape in shapes if who == id(one) and shape == (1, len(PROMPT))]
        assert read == [(1, len(PROMPT))]


@pytest.mark.parametrize("name", ["reference", "gpt2"])
def test_what_is_kept_is_not_changed_by_those_who_go_on_from_it(folders, name):
    model = load_engine(folders / name)
    prefix = model.read(PROMPT)
    length, law = prefix.cache.get_seq_length(), model.logits(prefix.hidden)
    for size in (3, 16):
        model.sample(PROMPT, uniforms("b" * 64, 0, 20, 6), POLICY, batch_size=size)
    assert model.read(PROMPT) is prefix
    assert prefix.cache.get_seq_length() == length
    assert torch.equal(model.logits(prefix.hidden), law)


@pytest.mark.parametrize("name", ["reference", "gpt2"])
def test_the_least_recently_used_prompt_leaves_first(folders, name):
    model = load_engine(folders / name)
    size = model.read([2] * 20).bytes
    assert size > 0
    model.prefixes = PrefixMemory(2 * size)
    one, two = model.read([2] * 20), model.read([3] * 20)
    assert model.read([2] * 20) is one
    model.read([4] * 20)
    assert model.read([2] * 20) is one
    assert model.read([3] * 20) is not two
    assert model.prefixes.bytes == 2 * size
    model.prefixes.clear()
    assert model.prefixes.bytes == 0
    assert model.read([2] * 20) is not one


def test_a_prompt_that_does_not_fit_displaces_nothing(reference):
    memory = PrefixMemory(reference.read([2, 3]).bytes)
    kept, long = reference.read([2, 3]), reference.read([2] * 50)
    memory.keep([2, 3], kept)
    memory.keep([2] * 50, long)
    assert memory.get([2, 3]) is kept
    assert memory.get([2] * 50) is None


def test_memory_that_runs_out_frees_what_is_kept(folders, monkeypatch):
    model = load_engine(folders / "reference")
    model.read([5, 5])
    extend = CausalModel.extend

    def narrow(self, cache, token_ids):
        if len(token_ids) > 4:
            raise torch.OutOfMemoryError("out of memory")
        return extend(self, cache, token_ids)

    monkeypatch.setattr(CausalModel, "extend", narrow)
    model.sample(PROMPT, uniforms("c" * 64, 0, 8, 6), POLICY)
    assert model.prefixes.get([5, 5]) is None
